import { createServer, type Server } from "node:net";
import { expect } from "chai";
import { type ListeningSocket, openListeningSocket } from "../../../src/frontends/listening-socket.ts";

describe("sockets that frontends inherit", () => {
  const sockets: ListeningSocket[] = [];
  const servers: Server[] = [];

  before(function () {
    if (process.platform === "win32") this.skip();
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    for (const socket of sockets.splice(0)) socket.close();
  });

  async function open(host: string, port = 0): Promise<ListeningSocket> {
    const socket = await openListeningSocket({ kind: "tcp", host, port }, "http.address");
    sockets.push(socket);
    return socket;
  }

  const portOf = ({ address }: ListeningSocket) => (address.kind === "tcp" ? address.port : 0);

  function listen(target: { fd: number } | { host: string; port: number }): Promise<Server | string> {
    const server = createServer((connection) => connection.end());
    return new Promise((resolve) => {
      server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code!));
      server.listen(target, () => {
        servers.push(server);
        resolve(server);
      });
    });
  }

  it("of a host by name have a descriptor and keep their port", async () => {
    const socket = await open("localhost");
    expect(socket.fd).to.be.a("number");
    expect(socket.address).to.deep.include({ kind: "tcp", host: "127.0.0.1" });
    // Whoever has not got the descriptor cannot have the port once one of those who have listens.
    expect(await listen({ fd: socket.fd! })).to.be.an("object");
    expect(await listen({ host: "127.0.0.1", port: portOf(socket) })).to.equal("EADDRINUSE");
  });

  it("of no host at all serve both families", async () => {
    const socket = await open("");
    expect(socket.address).to.deep.include({ host: "::" });
  });

  it("are refused where somebody listens, by the process's name", async () => {
    const other = (await listen({ host: "127.0.0.1", port: 0 })) as Server;
    const { port } = other.address() as { port: number };
    for (const host of ["127.0.0.1", "localhost", ""]) {
      const message = await open(host, port).then(
        () => "opened",
        (error: Error) => error.message,
      );
      expect(message, host).to.contain("the port is in use").and.contain("http.address");
      if (process.platform === "linux") expect(message).to.contain(`by process ${process.pid} (`);
    }
  });
});
