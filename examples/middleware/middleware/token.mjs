// Middleware of one's own: a Hono middleware, named by its path in .rr.yaml.

const USERS = new Map([["secret-of-zoe", "zoe"]]);

export default async (c, next) => {
  const token = c.req.header("authorization")?.replace(/^Bearer /, "");
  const user = USERS.get(token);
  if (c.req.path.startsWith("/private") && user === undefined) return c.json({ error: "a token is missing" }, 401);
  // Reaches PSR-7's getAttribute("user").
  if (user !== undefined) c.set("attributes", { user });
  await next();
  // The response of the application.
  c.header("X-Served-For", user ?? "nobody");
};
