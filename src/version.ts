/** Of this software; a test holds it equal to package.json. */
export const VERSION = "0.1.0";

/** What PHP finds in RR_VERSION: the RoadRunner whose behaviour the worker protocol follows. */
export const COMPATIBLE_RR_VERSION = "2025.1.0";
