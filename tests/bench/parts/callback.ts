import { byHand } from "../harness/by-hand.ts"
import { type Comparison, runComparison } from "../harness/comparison.ts"
import type { OpenContestant } from "../harness/contestant.ts"
import { floor } from "../harness/floors.ts"
import { requestText } from "../harness/load.ts"
import { mooringContestant } from "../harness/mooring-contestants.ts"
import type { Options } from "../harness/options.ts"
import { betterAuth, installPeers } from "../harness/peers.ts"

const comparison: Comparison = {
  part: "callback",
  floor: "Bun.serve making one request to the provider, then a redirect",
  notes: [
    "Every callback is that of a flow of its own, started before the clock runs, and connects a person who was not there before. The provider is a process on loopback.",
    "Mooring: checks the state's MAC, takes the flow once, exchanges the code and reads the profile (two requests), seals the tokens, stores account, event and outcome durably, checks the return URL again, logs the request.",
    "By hand: the least that this work takes, in one file: the state checked, the flow taken, two requests, sealed tokens, a durable account and event. No rules, limits, log or framework; indexes for these calls alone.",
    "Better Auth: checks the state against its row and cookie, two requests as well; stores user, account with sealed tokens, and a session with its cookie, which Mooring has no need of.",
    "Bun.serve: one request to the provider, or the two that a callback needs; nothing checked and nothing stored.",
  ],
  async contestants() {
    const peers: readonly OpenContestant[] = (await installPeers())
      ? [
          (world) => betterAuth("callback", "sqlite", world),
          (world) => betterAuth("callback", "postgres", world),
        ]
      : []
    const bare = {
      file: "callback-floor.ts",
      request: requestText({ path: "/v1/oauth/x/callback?state=none&code=1" }),
      status: 302,
    } as const
    return [
      ({ providerUrl }) =>
        floor({ ...bare, name: "Bun.serve, one fetch", env: { PROVIDER_URL: providerUrl } }),
      ({ providerUrl }) =>
        floor({ ...bare, name: "Bun.serve, two fetches", env: { PROVIDER_URL: providerUrl, EXCHANGE: "1" } }),
      (world) => byHand("callback", "sqlite", world),
      (world) => byHand("callback", "postgres", world),
      (world) => mooringContestant("callback", "sqlite", world),
      (world) => mooringContestant("callback", "postgres", world),
      ...peers,
    ]
  },
}

export const callback = (options: Options) => runComparison(comparison, options)
