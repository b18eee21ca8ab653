import { describe, expect, test } from "bun:test"
import { boundedMemory } from "../../../src/adapters/sandbox/memory.ts"
import {
  accessTokenIn,
  ask,
  codeOf,
  connected,
  longLivedCall,
  openSandbox,
  profileCall,
  tokenCall,
} from "./harness.ts"

describe("a token serves as what it was issued for, and as nothing else", () => {
  test.each(["x", "tiktok"] as const)("a code or refresh token reads no profile: %s", async (provider) => {
    const box = openSandbox()
    const { body } = await ask(box, tokenCall(provider, await codeOf(box, provider)))
    for (const token of [await codeOf(box, provider), String(body.refresh_token)]) {
      expect(token).toContain("sandbox")
      expect((await ask(box, profileCall(provider, token))).status).toBe(401)
    }
  })

  test.each(["linkedin", "instagram"] as const)("an access token is no code: %s", async (provider) => {
    const box = openSandbox()
    const { status, body } = await ask(box, tokenCall(provider, await connected(box, provider)))
    expect(status).toBe(400)
    expect(() => accessTokenIn(body)).toThrow("no access token")
  })

  test("a Page's token is not lengthened into a person's", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const url = "https://graph.facebook.com/v25.0/me/accounts"
    const { body } = await ask(box, { url, bearer: token })
    const [page] = body.data as readonly { readonly access_token: string }[]
    const lengthened = await ask(box, longLivedCall("facebook", page?.access_token ?? "") ?? { url })
    expect(lengthened.body.error).toMatchObject({ code: 190 })
  })

  test("its kind cannot be rewritten", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "x")
    for (const kind of ["access", "refresh", "short", "long", "page"]) {
      const rewritten = code.replace("sandbox_code.", `sandbox_${kind}.`)
      expect(rewritten).not.toBe(code)
      expect((await ask(box, profileCall("x", rewritten))).status).toBe(401)
    }
    const access = await connected(box, "x")
    const asRefresh = access.replace("sandbox_access.", "sandbox_refresh.")
    const { status } = await ask(box, {
      ...tokenCall("x", ""),
      form: { grant_type: "refresh_token", refresh_token: asRefresh },
    })
    expect(status).toBe(400)
  })

  test("and it holds no secret of the app", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const [, payload = ""] = token.split(".")
    const text = Buffer.from(payload, "base64url").toString("utf8")
    expect(text).toContain("made-up-client")
    expect(text).not.toContain("made-up-secret")
  })
})

describe("what one process remembers", () => {
  test("is bounded, and the oldest goes first", () => {
    const memory = boundedMemory(2)
    for (const nonce of ["a", "b", "c"]) {
      memory.spend(nonce)
      memory.proofs.put(nonce, `proof of ${nonce}`)
      memory.rotations.put(nonce, { generation: 1, id: nonce })
      memory.standings.put(nonce, { order: 1, pages: null, removedBelow: 0 })
    }
    expect(["a", "b", "c"].map(memory.isSpent)).toEqual([false, true, true])
    expect(["a", "b", "c"].map(memory.proofs.get)).toEqual([undefined, "proof of b", "proof of c"])
    for (const shelf of [memory.rotations, memory.standings]) {
      expect(["a", "b", "c"].map((name) => shelf.get(name) !== undefined)).toEqual([false, true, true])
    }
  })

  test("what is written again is the youngest", () => {
    const memory = boundedMemory(2)
    for (const name of ["a", "b", "a", "c"]) memory.spend(name)
    expect(["a", "b", "c"].map(memory.isSpent)).toEqual([true, false, true])
  })

  test("gives orders that rise though the clock stands still or goes back, and follow it ahead", () => {
    const memory = boundedMemory()
    const orders = [5000, 5000, 4000, 9000].map((time) => memory.nextOrder(new Date(time)))
    expect(orders).toEqual([5000, 5001, 5002, 9000])
  })
})
