interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Schema[];
  allOf?: Schema[];
  pattern?: string;
  minLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  minItems?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  patternProperties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  $defs?: Record<string, Schema>;
}

const CHECKED = new Set(
  "$ref type enum anyOf allOf pattern minLength minimum maximum items minItems required properties patternProperties additionalProperties".split(
    " ",
  ),
);
const TOLD = new Set("$schema $comment title description default examples $defs".split(" "));

/** Paths at which a value breaks a JSON schema; of the keywords, those that docs/schema.json uses. */
export function schemaProblems(root: Schema, value: unknown): string[] {
  const problems = (schema: Schema, at: unknown, path: string): string[] => {
    for (const keyword of Object.keys(schema))
      if (!CHECKED.has(keyword) && !TOLD.has(keyword)) throw new Error(`keyword ${keyword} is not checked here`);
    const wrong = (ok: boolean) => (ok ? [] : [path]);
    const found: string[] = [];
    if (schema.$ref) found.push(...problems(root.$defs![schema.$ref.split("/").at(-1)!]!, at, path));
    if (schema.type) found.push(...wrong([schema.type].flat().some((type) => isOfType(at, type))));
    if (schema.enum) found.push(...wrong(schema.enum.includes(at)));
    if (schema.anyOf) found.push(...wrong(schema.anyOf.some((one) => problems(one, at, path).length === 0)));
    for (const one of schema.allOf ?? []) found.push(...problems(one, at, path));
    if (typeof at === "string") {
      found.push(...wrong(schema.pattern === undefined || new RegExp(schema.pattern).test(at)));
      found.push(...wrong(at.length >= (schema.minLength ?? 0)));
    }
    if (typeof at === "number") found.push(...wrong(at >= (schema.minimum ?? at) && at <= (schema.maximum ?? at)));
    if (Array.isArray(at)) {
      found.push(...wrong(at.length >= (schema.minItems ?? 0)));
      for (const [index, item] of at.entries()) found.push(...problems(schema.items ?? {}, item, `${path}/${index}`));
    } else if (typeof at === "object" && at !== null) found.push(...objectProblems(schema, at, path));
    return found;
  };

  const objectProblems = (schema: Schema, at: object, path: string): string[] => {
    const found = (schema.required ?? []).filter((key) => !(key in at)).map((key) => `${path}/${key}`);
    for (const [key, entry] of Object.entries(at)) {
      const patterns = Object.entries(schema.patternProperties ?? {}).filter(([pattern]) =>
        new RegExp(pattern).test(key),
      );
      const own = schema.properties?.[key];
      for (const one of [...(own ? [own] : []), ...patterns.map(([, one]) => one)])
        found.push(...problems(one, entry, `${path}/${key}`));
      if (own || patterns.length > 0) continue;
      if (schema.additionalProperties === false) found.push(`${path}/${key}`);
      else if (typeof schema.additionalProperties === "object")
        found.push(...problems(schema.additionalProperties, entry, `${path}/${key}`));
    }
    return found;
  };

  return problems(root, value, "");
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}
