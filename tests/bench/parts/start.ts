import { byHand } from "../harness/by-hand.ts"
import { type Comparison, runComparison } from "../harness/comparison.ts"
import { floor, sampleOf } from "../harness/floors.ts"
import { mooringContestant } from "../harness/mooring-contestants.ts"
import type { Options } from "../harness/options.ts"
import { betterAuth, fastifyOAuth2, grantExpress, installPeers } from "../harness/peers.ts"

const comparison: Comparison = {
  part: "start",
  floor: "Bun.serve answering JSON of the same size",
  notes: [
    "Mooring: checks an API key and the return URL, reads the tenant's app, stores the flow durably with its PKCE verifier sealed, logs the request.",
    "By hand: the least that this work takes, in one file: one caller and one app, known in advance; a digest, a sealed verifier, a durable flow. No rules, limits, log or framework; indexes for these calls alone.",
    "Better Auth: one app from its configuration, no caller to authenticate; stores the flow with its verifier in clear, sets a signed cookie.",
    "grant, @fastify/oauth2: one app from the configuration, no caller to authenticate; no store, the flow is lost with the process or lives in cookies.",
    "Elysia and Bun.serve answer a constant.",
  ],
  async contestants(world) {
    const { request, answer } = await sampleOf(() => mooringContestant("start", "sqlite", world))
    const spec = { request, status: 200, env: { ANSWER: answer } }
    const peers = (await installPeers())
      ? [
          (world: Parameters<typeof betterAuth>[2]) => betterAuth("start", "sqlite", world),
          (world: Parameters<typeof betterAuth>[2]) => betterAuth("start", "postgres", world),
          grantExpress,
          fastifyOAuth2,
        ]
      : []
    return [
      () => floor({ ...spec, name: "Bun.serve, JSON", file: "bare.ts" }),
      () => floor({ ...spec, name: "Elysia, JSON", file: "bare-elysia.ts" }),
      (world) => byHand("start", "sqlite", world),
      (world) => byHand("start", "postgres", world),
      (world) => mooringContestant("start", "sqlite", world),
      (world) => mooringContestant("start", "postgres", world),
      ...peers,
    ]
  },
}

export const start = (options: Options) => runComparison(comparison, options)
