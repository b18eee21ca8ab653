import { expect, test } from "bun:test"
import { acme, connectWorld, query } from "../support/connect-world.ts"

test("the provider gets 14 s for a connect, 30 for a refresh, 10 for a revocation, 15 to identify and to check", async () => {
  const world = connectWorld()
  const limits: Record<string, number> = {}
  world.provider.identify = async ({ limitMs }) => {
    limits.identify = limitMs
    return undefined
  }
  world.provider.check = async ({ limitMs }) => {
    limits.check = limitMs
    return []
  }
  const app = await world.addApp()
  await world.checkApp(acme, app.id)
  const { flow, state } = await world.begin()
  await world.complete("x", query({ state, code: "fake-code" }))
  const [id = ""] = (await world.viewFlow(acme, flow.id)).flow.accountIds
  await world.tokens.refresh(acme, id)
  await world.disconnect(acme, id)
  await world.register(acme, { provider: "x", platformAccountId: "42", accessToken: "fake-typed-token" })
  // A callback's whole work must end within its 15 s, and a lost one is told within a minute.
  expect(world.exchanges.map(({ limitMs }) => limitMs)).toEqual([14_000])
  expect(world.refreshes.map(({ limitMs }) => limitMs)).toEqual([30_000])
  expect(world.revocations.map(({ limitMs }) => limitMs)).toEqual([10_000])
  expect(limits).toEqual({ identify: 15_000, check: 15_000 })
})
