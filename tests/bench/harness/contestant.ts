import type { World } from "./world.ts"

/** One of those that are compared: a server that runs, and what is asked of it. */
export interface Contestant {
  readonly name: string
  /** What has outlived a crash once it has answered. */
  readonly keeps: string
  /** The others share its core with it. */
  readonly pid: number
  /** Several for instances behind one address. */
  readonly ports: readonly number[]
  readonly store?: "sqlite" | "postgres"
  /** Whole HTTP requests for one round; so many of them where each works but once. */
  requests(count: number): Promise<readonly string[]>
  /** Whether a request works but once. */
  readonly once: boolean
  readonly status: number
  /** CPU time so far of all that it consists of, databases not counted, in microseconds. */
  cpu(): number
  /** CPU time so far of the database server behind it. */
  databaseCpu?(): number
  stop(): Promise<void>
}

export type OpenContestant = (world: World) => Promise<Contestant>

/** What every round asks, where requests may be repeated. */
export function repeating(requests: readonly string[]): Pick<Contestant, "requests" | "once"> {
  return { once: false, requests: async () => requests }
}
