import { expect, test } from "bun:test"
import { refresher } from "../../src/application/refresh-tokens.ts"
import { acme, connectWorld, query, refreshedTokens, upstreamAccount } from "../support/connect-world.ts"

test("is settled only when every refresh under way has been stored", async () => {
  const world = connectWorld()
  await world.addApp()
  world.provider.answer = async () => [
    upstreamAccount({
      tokens: { ...upstreamAccount().tokens, expiresAt: new Date(world.now().getTime() + 60_000) },
    }),
  ]
  const { flow, state } = await world.begin()
  await world.complete("x", query({ state, code: "c" }))
  const id = (await world.viewFlow(acme, flow.id)).flow.accountIds[0] ?? ""
  const { promise, resolve } = Promise.withResolvers<ReturnType<typeof refreshedTokens>>()
  world.provider.refresh = () => promise

  // Its reader is served from what is still valid, and leaves; the refresh goes on without anybody waiting.
  world.waiting.passesTime = false
  world.pass(49_000)
  await world.tokens.read(acme, id)
  const order: string[] = []
  const settled = world.refresher.settled().then(() => order.push("settled"))
  await Bun.sleep(5)
  order.push("answered")
  resolve(refreshedTokens({ expiresAt: new Date(world.now().getTime() + 7_200_000) }))
  await settled
  expect(order).toEqual(["answered", "settled"])
  expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-renewed-access-token")
})

test("with nothing under way it is settled at once", async () => {
  const { refreshDeps } = connectWorld()
  await refresher(refreshDeps).settled()
})
