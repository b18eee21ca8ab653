let loaded: typeof import("node:crypto") | undefined

/** Node's cryptography, loaded when it is first used: it brings all of node's streams along, which took 6 ms of every start. */
export function nodeCrypto(): typeof import("node:crypto") {
  loaded ??= process.getBuiltinModule("node:crypto")
  return loaded
}
