import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";

/** The library writes to standard error by itself what its callers are told anyway, in words that are not for users. */
setLogVerbosity(logVerbosity.NONE);
