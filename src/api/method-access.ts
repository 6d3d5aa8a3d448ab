import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import {
  frontends as frontendsOption,
  role as roleOption,
  Role as WireRole,
} from "../../gen/roadrunner/auth/v1/role_pb.ts";
import type { MethodAccess, Role } from "../access/role.ts";

const ROLE: Readonly<Partial<Record<WireRole, Role>>> = {
  [WireRole.VIEWER]: "viewer",
  [WireRole.OPERATOR]: "operator",
  [WireRole.ADMIN]: "admin",
  [WireRole.FRONTEND]: "frontend",
};

/** Services that others have described, and that cannot carry our options. */
const STANDARD_SERVICES: Readonly<Record<string, MethodAccess>> = {
  "grpc.health.v1.Health": { role: "viewer", frontends: true },
  // Tells what the API is like, and nothing of this server.
  "grpc.reflection.v1.ServerReflection": { role: "viewer", frontends: true },
  "grpc.reflection.v1alpha.ServerReflection": { role: "viewer", frontends: true },
};

/** What every method of services asks for, by its path ("/package.Service/Method"). Throws for one that says nothing. */
export function methodAccess(services: readonly DescService[]): ReadonlyMap<string, MethodAccess> {
  return new Map(
    services.flatMap((service) =>
      service.methods.map((method) => [
        `/${service.typeName}/${method.name}`,
        STANDARD_SERVICES[service.typeName] ?? accessOf(service, method),
      ]),
    ),
  );
}

function accessOf(service: DescService, method: DescMethod): MethodAccess {
  const role = hasOption(method, roleOption) ? ROLE[getOption(method, roleOption)] : undefined;
  if (role === undefined) throw new Error(`${service.typeName}.${method.name} does not say which role may call it`);
  return { role, frontends: hasOption(method, frontendsOption) && getOption(method, frontendsOption) };
}
