/** What a caller may do. The names are those of `roadrunner.auth.v1.Role` without its prefix, in lower case. */
export const ROLES = ["viewer", "operator", "admin", "frontend"] as const;

export type Role = (typeof ROLES)[number];

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/** What a method asks for. */
export interface MethodAccess {
  /** The least role that may call it. */
  readonly role: Role;
  /** Frontends may, too. */
  readonly frontends: boolean;
}

/** Roles that hold what a role asks for. Frontends stand apart: they bring payloads and steer nothing. */
const HOLDERS: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ["viewer", "operator", "admin"],
  operator: ["operator", "admin"],
  admin: ["admin"],
  frontend: ["frontend", "admin"],
};

export function mayCall(role: Role, access: MethodAccess): boolean {
  return HOLDERS[access.role].includes(role) || (access.frontends && role === "frontend");
}
