import { userInfo } from "node:os";
import { expect } from "chai";
import { childEnvironment, otherUser } from "../../../src/process/child-environment.ts";

describe("the environment of a child", () => {
  const base = {
    PATH: "/bin",
    HOME: "/root",
    USER: "root",
    LOGNAME: "root",
    SHELL: "/bin/zsh",
    MAIL: "/var/mail/root",
    XDG_RUNTIME_DIR: "/run/user/0",
    XDG_CACHE_HOME: "/root/.cache",
    LC_ALL: "C.UTF-8",
    APP_ENV: "prod",
    SECRET: "s3cret",
  };
  const other = { name: "www-data", uid: 33, gid: 33, home: "/var/www", shell: "/usr/sbin/nologin" };

  it("is that of the server", () => {
    expect(childEnvironment(base, undefined, undefined)).to.deep.equal(base);
  });

  it("of another user has what is that user's, and nothing that is root's", () => {
    expect(childEnvironment(base, undefined, other)).to.deep.equal({
      PATH: "/bin",
      HOME: "/var/www",
      USER: "www-data",
      LOGNAME: "www-data",
      SHELL: "/usr/sbin/nologin",
      LC_ALL: "C.UTF-8",
      APP_ENV: "prod",
      SECRET: "s3cret",
    });
  });

  it("is what was chosen, and what every program needs", () => {
    const { PATH, LC_ALL, APP_ENV } = base;
    expect(childEnvironment(base, ["APP_ENV", "ABSENT"], other)).to.deep.equal({
      PATH,
      LC_ALL,
      APP_ENV,
      HOME: "/var/www",
      USER: "www-data",
      LOGNAME: "www-data",
      SHELL: "/usr/sbin/nologin",
    });
    expect(childEnvironment(base, [], undefined)).to.have.all.keys([
      "PATH",
      "HOME",
      "USER",
      "LOGNAME",
      "SHELL",
      "LC_ALL",
    ]);
  });

  it("is not changed for the user that the server runs as", function () {
    if (process.platform === "win32") return this.skip();
    expect(otherUser(undefined, "server")).to.equal(undefined);
    expect(otherUser(String(userInfo().uid), "server")).to.equal(undefined);
    expect(() => otherUser("no-such-user", "http")).to.throw(/http\.user: "no-such-user" is not in \/etc\/passwd/);
  });
});
