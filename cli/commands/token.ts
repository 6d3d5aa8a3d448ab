import { chmod, open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isRole, ROLES, type Role } from "../../src/access/role.ts";
import { createToken, parseTokens, tokenLine, tokenNameProblem } from "../../src/access/token-file.ts";
import { RrError, systemErrorCode } from "../../src/errors.ts";
import { configurationSource } from "../address.ts";
import type { Command, Invocation } from "../invocation.ts";

interface CreateOptions {
  name?: string;
  role?: string;
  file?: string;
}

/** Makes a token, notes its hash down in the file, and prints the token: it is nowhere else. */
export const create: Command<CreateOptions> = async (invocation) => {
  const { options, terminal } = invocation;
  const name = checkedName(options.name);
  const role = checkedRole(options.role);
  const file = await fileOf(invocation);
  const token = createToken();
  const line = tokenLine(name, role, token);
  if (file !== undefined) await append(file, name, line);
  terminal.messages.write(
    file === undefined
      ? `Add this line to the file that control.tokens names; the token itself is shown only now.\n${line}\n`
      : `${file} has the hash of the token; the token itself is shown only now.\n`,
  );
  return { data: { name, role, token, line, file: file ?? "" }, text: () => `${token}\n` };
};

function checkedName(name: string | undefined): string {
  if (name === undefined)
    throw new RrError("INVALID_REQUEST", "--name is missing: say whose token it is, such as --name deployment");
  const problem = tokenNameProblem(name);
  if (problem !== undefined) throw new RrError("INVALID_REQUEST", `--name ${JSON.stringify(name)}: ${problem}`);
  return name;
}

function checkedRole(role: string | undefined): Role {
  if (role !== undefined && isRole(role)) return role;
  throw new RrError("INVALID_REQUEST", `--role is missing: choose one of ${ROLES.join(", ")}`);
}

/** The file given, or that of the configuration. Undefined: neither names one. */
async function fileOf({ globals, env, options }: Invocation<CreateOptions>): Promise<string | undefined> {
  if (options.file !== undefined) return resolve(globals.cwd, options.file);
  const { checkConfiguration } = await import("../../src/config/load.ts");
  // What is wrong elsewhere in it, or that the file of tokens is not there yet, is no matter here.
  return checkConfiguration(configurationSource(globals, env)).loaded?.configuration.control.tokensFile;
}

async function append(file: string, name: string, line: string): Promise<void> {
  try {
    const before = await readFile(file, "utf8").catch((thrown) => {
      if (systemErrorCode(thrown) === "ENOENT") return undefined;
      throw thrown;
    });
    if (parseTokens(before ?? "").entries.some((entry) => entry.name === name))
      throw new RrError(
        "INVALID_REQUEST",
        `${file} has a token "${name}" already: take its line out, or choose another name`,
      );
    const handle = await open(file, "a", 0o600);
    try {
      await handle.write(`${before === undefined || before === "" || before.endsWith("\n") ? "" : "\n"}${line}\n`);
    } finally {
      await handle.close();
    }
    // Whatever the umask is.
    if (before === undefined && process.platform !== "win32") await chmod(file, 0o600);
  } catch (thrown) {
    if (thrown instanceof RrError) throw thrown;
    throw new RrError("INVALID_REQUEST", `${file} cannot be written: ${systemErrorCode(thrown) ?? thrown}`, {
      cause: thrown,
    });
  }
}
