import { byHand } from "../harness/by-hand.ts"
import { type Comparison, runComparison } from "../harness/comparison.ts"
import { floor, sampleOf } from "../harness/floors.ts"
import { mooringContestant } from "../harness/mooring-contestants.ts"
import type { Options } from "../harness/options.ts"

const comparison: Comparison = {
  part: "token",
  floor: "Bun.serve answering JSON of the same size",
  notes: [
    "Mooring: checks an API key, reads one of 100 accounts whose token is fresh, opens the sealed token, logs the request.",
    "By hand: the least that this work takes, in one file: one caller, known in advance; a digest, a look-up, a token opened. No rules, limits, log or framework; indexes for these calls alone.",
    "Elysia and Bun.serve answer a constant.",
  ],
  async contestants(world) {
    const { request, answer } = await sampleOf(() => mooringContestant("token", "sqlite", world))
    const spec = { request, status: 200, env: { ANSWER: answer } }
    return [
      () => floor({ ...spec, name: "Bun.serve, JSON", file: "bare.ts" }),
      () => floor({ ...spec, name: "Elysia, JSON", file: "bare-elysia.ts" }),
      (world) => byHand("token", "sqlite", world),
      (world) => byHand("token", "postgres", world),
      (world) => mooringContestant("token", "sqlite", world),
      (world) => mooringContestant("token", "postgres", world),
    ]
  },
}

export const token = (options: Options) => runComparison(comparison, options)
