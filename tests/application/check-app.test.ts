import { expect, test } from "bun:test"
import type { ConnectError } from "../../src/domain/errors.ts"
import { acme, connectWorld, refusal } from "../support/connect-world.ts"

type Outcome = { readonly code: string; readonly retryAfterSeconds: number | undefined } | "checked"

function worldOfChecks() {
  const world = connectWorld()
  let asked = 0
  world.provider.check = async () => {
    asked++
    return []
  }
  return {
    world,
    asked: () => asked,
    check: (id: string): Promise<Outcome> =>
      world.checkApp(acme, id).then(
        () => "checked",
        ({ code, retryAfterSeconds }: ConnectError) => ({ code, retryAfterSeconds }),
      ),
  }
}

test("one app is checked once in ten seconds, and the others meanwhile", async () => {
  const { world, check, asked } = worldOfChecks()
  const [one, other] = [await world.addApp(), await world.addApp({ clientId: "fake-other-client" })]
  expect(await check(one.id)).toBe("checked")
  expect(await check(one.id)).toEqual({ code: "rate_limited", retryAfterSeconds: 10 })
  world.pass(9001)
  expect(await check(one.id)).toEqual({ code: "rate_limited", retryAfterSeconds: 1 })
  expect(await check(other.id)).toBe("checked")
  expect(asked()).toBe(2)
  world.pass(999)
  expect(await check(one.id)).toBe("checked")
  expect(asked()).toBe(3)
})

test("of many checks of one app at once one asks the provider, however long that takes", async () => {
  const { world, check } = worldOfChecks()
  const { id } = await world.addApp()
  const { promise, resolve } = Promise.withResolvers<void>()
  let asked = 0
  world.provider.check = async () => {
    asked++
    await promise
    return []
  }
  const all = Array.from({ length: 8 }, () => check(id))
  await Bun.sleep(5)
  world.pass(14_000)
  const late = check(id)
  await Bun.sleep(5)
  resolve()
  expect(await late).toEqual({ code: "rate_limited", retryAfterSeconds: 10 })
  const outcomes = await Promise.all(all)
  expect(outcomes.filter((outcome) => outcome === "checked")).toHaveLength(1)
  expect(asked).toBe(1)
  expect(await check(id)).toEqual({ code: "rate_limited", retryAfterSeconds: 10 })
})

test("a check that fails counts, and does not keep the app from being checked later", async () => {
  const { world, check } = worldOfChecks()
  const { id } = await world.addApp()
  world.provider.check = async () => {
    throw refusal("server_error")
  }
  expect(await check(id)).not.toBe("checked")
  expect(await check(id)).toMatchObject({ code: "rate_limited" })
  world.pass(10_000)
  world.provider.check = async () => []
  expect(await check(id)).toBe("checked")
})

test("an app that is not the caller's is absent, also while it is being checked", async () => {
  const { world, check } = worldOfChecks()
  const { id } = await world.addApp()
  await check(id)
  await expect(world.checkApp({ ...acme, tenant: "globex" }, id)).rejects.toMatchObject({ code: "not_found" })
})
