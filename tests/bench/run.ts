/**
 * The benchmarks: `bun run bench` runs every part, `bun run bench <part>` one. Results replace those in
 * tests/bench/results only with --keep.
 */
import { parseArgs } from "node:util"
import type { Options } from "./harness/options.ts"
import { say } from "./harness/report.ts"
import { callback } from "./parts/callback.ts"
import { instances } from "./parts/instances.ts"
import { memory } from "./parts/memory.ts"
import { profile } from "./parts/profile.ts"
import { scale } from "./parts/scale.ts"
import { soak } from "./parts/soak.ts"
import { start } from "./parts/start.ts"
import { startup } from "./parts/startup.ts"
import { token } from "./parts/token.ts"
import { table } from "./table.ts"

type Part = (options: Options) => Promise<void>

/** Each measures one thing; `bun run bench` runs them in this order. */
const parts: Readonly<Record<string, Part>> = {
  start,
  callback,
  token,
  instances,
  startup,
  memory,
  scale,
  soak,
}

/** What is of use beside them. */
const tools: Readonly<Record<string, Part>> = { table, profile }

const usage = `bun run bench [part] [options]

  parts      ${Object.keys(parts).join(", ")}; none for all of them
             memory, soak and scale take sqlite or postgres, scale also retention alone
  table      prints the README's table from the kept results
  profile    start|callback|token [sqlite|postgres] [native]: where the service's time goes; native sees into the
             runtime too, and needs perf

  --rounds N         rounds of a comparison (12)
  --seconds N        length of a round (1.2)
  --warm-up N        seconds of load before the first round (6)
  --connections N,N  the first gets all rounds, the others a third of them (32,1,64)
  --minutes N        length of the soak (10)
  --connects N       connects of the memory part (20000)
  --accounts N,N     sizes of the scale part, the smallest first (1000,30000,1000000)
  --keep             replaces the result in tests/bench/results`

function readOptions(): Options & { readonly name: string | undefined } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "12" },
      seconds: { type: "string", default: "1.2" },
      "warm-up": { type: "string", default: "6" },
      connections: { type: "string", default: "32,1,64" },
      minutes: { type: "string", default: "10" },
      connects: { type: "string", default: "20000" },
      accounts: { type: "string", default: "1000,30000,1000000" },
      keep: { type: "boolean", default: false },
    },
  })
  const [name, ...words] = positionals
  return {
    name,
    words,
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    warmUpSeconds: positive("warm-up", values["warm-up"]),
    connections: values.connections.split(",").map((text) => positive("connections", text)),
    minutes: positive("minutes", values.minutes),
    connects: positive("connects", values.connects),
    accounts: values.accounts.split(",").map((text) => positive("accounts", text)),
    keep: values.keep,
  }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new Error(`--${name} must be a number above 0`)
}

const { name, ...options } = readOptions()
const chosen = name === undefined ? Object.values(parts) : [parts[name] ?? tools[name]]
for (const part of chosen) {
  if (!part) {
    say(usage)
    process.exit(1)
  }
  await part(options)
}
process.exit(0)
