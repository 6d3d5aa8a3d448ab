import {
  FrontendState,
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  ProcessRole,
  type ServerHealth,
  ServerState,
} from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData, stateName, timeMs } from "../message-data.ts";
import { formatAge, formatBytes } from "../output/format.ts";
import type { Page } from "../output/output.ts";
import { type Cell, renderPairs, renderTable } from "../output/table.ts";

export const run: Command = async ({ core, version }) => {
  const response = await core.ask("asking the server", (client, signal) => client.server.getServerInfo({}, { signal }));
  const { address, source } = await core.location();
  return {
    data: messageData(GetServerInfoResponseSchema, response),
    text: (page) => infoText(response, version, `${address} (${source})`, page),
  };
};

function infoText(info: GetServerInfoResponse, version: string, asked: string, page: Page): string {
  const startMs = timeMs(info.startTime);
  const pairs: [string, Cell][] = [
    ["state", stateCell(info.state)],
    ["ready", readyCell(info.health)],
    ["version", info.version === version ? info.version : `${info.version} (this rrctl: ${version})`],
    ["started", startMs === undefined ? "-" : formatAge(page.nowMs - startMs)],
    ["http", info.httpAddresses.join(", ") || "none"],
    ["control", info.controlAddresses.join(", ")],
    ["asked at", asked],
    ["pools", info.pools.join(", ") || "none"],
    ["configuration", info.configFile || "none"],
    ["directory", info.workingDirectory],
    ["node", info.nodeVersion],
    ...info.frontends
      .filter(({ problem }) => problem !== "")
      .map(({ state, problem }): [string, Cell] => [
        "frontend",
        { text: `${stateName(FrontendState, state)}: ${problem}`, colour: "red" },
      ]),
    ...info.warnings.map((text): [string, Cell] => ["warning", { text, colour: "yellow" }]),
  ];
  const processes = renderTable(
    [
      { header: "PID", align: "right" },
      { header: "PROCESS" },
      { header: "MEMORY", align: "right" },
      { header: "RESTARTS", align: "right" },
      { header: "STARTED" },
    ],
    info.processes.map((process) => {
      const processStartMs = timeMs(process.startTime);
      return [
        String(process.pid),
        stateName(ProcessRole, process.role).replaceAll("_", " "),
        process.memoryBytes === 0n ? "-" : formatBytes(process.memoryBytes),
        process.restarts === 0 ? "0" : { text: String(process.restarts), colour: "red" as const },
        processStartMs === undefined ? "-" : formatAge(page.nowMs - processStartMs),
      ];
    }),
    page,
  );
  return `${renderPairs(pairs, page.paint)}\n${processes}`;
}

/** One line: each reason names what it is about. */
function readyCell(health: ServerHealth | undefined): Cell {
  if (!health?.server) return "-";
  const { server, pools } = health;
  const problems = Object.entries(pools)
    .filter(([, { reason }]) => reason !== "" && reason !== server.reason)
    .map(([name, { reason }]) => `${name}: ${reason.split("\n")[0]}`);
  const reasons = [...(server.reason === "" ? [] : [server.reason]), ...problems].join("; ");
  const isReady = server.ready && Object.values(pools).every(({ ready }) => ready);
  if (isReady)
    return reasons === "" ? { text: "yes", colour: "green" } : { text: `yes, but ${reasons}`, colour: "yellow" };
  return { text: `no: ${reasons}`, colour: "red" };
}

function stateCell(state: ServerState): Cell {
  return { text: stateName(ServerState, state), colour: state === ServerState.SERVING ? "green" : "yellow" };
}
