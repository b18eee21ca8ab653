import { StoreUnavailable } from "../../ports/storage.ts"

/**
 * Of the driver and the operating system where no connection is to be had, of a server that ends or refuses them, and
 * of one whose row or table somebody else does not give back.
 */
const away = /^(?:CONNECTION_\w+|CONNECT_TIMEOUT|E[A-Z]+|08\w{3}|57P0[1-3]|53300|55P03)$/

type Methods = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>

/** The same port, whose methods reject with `StoreUnavailable` where the database is away, and else as they did. */
export function tellingAway<Port extends object>(port: Port): Port {
  const methods = Object.entries(port as Methods).map(([name, method]) => [
    name,
    async (...args: never[]) => {
      try {
        return await method(...args)
      } catch (fault) {
        throw isAway(fault) ? new StoreUnavailable("PostgreSQL is away", { cause: fault }) : fault
      }
    },
  ])
  return Object.fromEntries(methods) as Port
}

function isAway(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && typeof fault.code === "string" && away.test(fault.code)
}
