import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  type ApiKeyInput,
  type CheckedApiKeyInput,
  checkApiKeyInput,
  defaultKeyScopes,
  isUsable,
  type KeyScope,
  keyScopes,
  type Principal,
} from "../../src/domain/api-key.ts"
import { ConnectError } from "../../src/domain/errors.ts"
import { environments } from "../../src/domain/owner.ts"

const now = new Date("2026-11-22T12:00:00.000Z")
const at = (offset: number) => new Date(now.getTime() + offset)
const user: Principal = {
  tenant: "acme",
  environment: "live",
  actor: "user:ann",
  scopes: keyScopes,
  kind: "user",
}
const key = (scopes: readonly KeyScope[], environment: Principal["environment"] = "live"): Principal => ({
  tenant: "acme",
  environment,
  actor: "key:key_1",
  scopes,
  kind: "key",
})
const input: ApiKeyInput = { name: "ci", environment: "live" }

function refusalOf(asked: ApiKeyInput, maker: Principal = user): ConnectError {
  try {
    checkApiKeyInput(asked, maker, now)
  } catch (error) {
    if (error instanceof ConnectError) return error
    throw error
  }
  throw new Error("nothing was refused")
}

describe("a key is usable", () => {
  test.each([
    [null, null, true],
    [null, at(1), true],
    [null, at(0), false],
    [null, at(-1), false],
    [at(-1), null, false],
    [at(0), at(1), false],
    [at(1), null, false],
  ])("revoked %p, expiring %p: %p", (revokedAt, expiresAt, usable) => {
    expect(isUsable({ revokedAt, expiresAt }, now)).toBe(usable)
  })
})

describe("a new key", () => {
  test("may do everything but make keys, and never ends, unless it says otherwise", () => {
    expect(defaultKeyScopes).toEqual(["apps", "connect", "accounts", "tokens", "events", "webhooks"])
    expect(checkApiKeyInput(input, user, now)).toEqual({
      name: "ci",
      environment: "live",
      scopes: [...defaultKeyScopes],
      expiresAt: null,
    })
  })

  test("made by a narrow key is by default as narrow, and cannot make keys in its turn", () => {
    expect(checkApiKeyInput(input, key(["keys", "accounts", "tokens"]), now).scopes).toEqual([
      "accounts",
      "tokens",
    ])
    expect(refusalOf(input, key(["keys"])).faults).toEqual([
      { field: "scopes", detail: "must name at least one scope" },
    ])
  })

  test("has its name trimmed, its scopes in the given order without repeats, its end as given", () => {
    const asked = { ...input, name: " ci \n", scopes: ["tokens", "keys", "tokens"], expiresAt: at(1) }
    expect(checkApiKeyInput(asked, user, now)).toEqual({
      name: "ci",
      environment: "live",
      scopes: ["tokens", "keys"],
      expiresAt: at(1),
    })
  })

  test.each([
    ["name", { name: "" }],
    ["name", { name: " \t" }],
    ["name", { name: "n".repeat(81) }],
    ["name", { name: "c\ni" }],
    ["scopes", { scopes: [] }],
    ["scopes[1]", { scopes: ["apps", "admin"] }],
    ["scopes[2]", { scopes: ["apps", "apps", "admin"] }],
    ["scopes[0]", { scopes: ["Apps"] }],
    ["scopes[0]", { scopes: ["*"] }],
    ["scopes[0]", { scopes: ["apps tokens"] }],
    ["scopes[0]", { scopes: ["__proto__"] }],
    ["scopes[0]", { scopes: ["constructor"] }],
    ["expires_at", { expiresAt: at(0) }],
    ["expires_at", { expiresAt: at(-1) }],
    ["expires_at", { expiresAt: new Date(Number.NaN) }],
  ])("is refused for its %s when it says %j", (field, change) => {
    const refusal = refusalOf({ ...input, ...change })
    expect(refusal.code).toBe("invalid_input")
    expect(refusal.faults.map((fault) => fault.field)).toEqual([field])
  })

  test("may have a name of 1 to 80 characters", () => {
    for (const name of ["n", "n".repeat(80), "Ключ №1"]) {
      expect(checkApiKeyInput({ ...input, name }, user, now).name).toBe(name)
    }
  })

  test("is refused with every fault at once", () => {
    const faults = refusalOf({ ...input, name: "", scopes: ["a", "apps", "b"], expiresAt: at(0) }).faults
    expect(faults.map((fault) => fault.field)).toEqual(["name", "scopes[0]", "scopes[2]", "expires_at"])
  })
})

describe("a key never makes a wider one", () => {
  test("and is told what it lacks", () => {
    const refusal = refusalOf({ ...input, scopes: ["accounts", "tokens", "keys"] }, key(["keys", "accounts"]))
    expect(refusal.code).toBe("insufficient_key_scope")
    expect(refusal.message).toContain("lacks tokens.")
  })

  test("whatever is asked, by whomever", () => {
    const someScopes = fc.subarray([...keyScopes])
    const environment = fc.constantFrom(...environments)
    const kind = fc.constantFrom("key", "user" as const)
    fc.assert(
      fc.property(
        someScopes,
        fc.option(someScopes),
        environment,
        environment,
        kind,
        (held, asked, own, wanted, kind) => {
          const maker: Principal = { ...user, scopes: held, environment: own, kind }
          const made = madeBy(maker, { name: "n", environment: wanted, scopes: asked ?? undefined })
          if (!made) return
          expect(held).toEqual(expect.arrayContaining([...made.scopes]))
          expect(made.scopes).not.toBeEmpty()
          expect(made.environment).toBe(wanted)
          if (kind === "key") expect(made.environment).toBe(own)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test("and is free to make any that is as narrow", () => {
    fc.assert(
      fc.property(fc.subarray([...keyScopes], { minLength: 1 }), (held) => {
        expect(checkApiKeyInput({ ...input, scopes: held }, key(held), now).scopes).toEqual(held)
      }),
    )
  })

  function madeBy(maker: Principal, asked: ApiKeyInput): CheckedApiKeyInput | undefined {
    try {
      return checkApiKeyInput(asked, maker, now)
    } catch (error) {
      if (error instanceof ConnectError) return undefined
      throw error
    }
  }
})

describe("a key stays in its environment", () => {
  test.each([
    ["live", "test"],
    ["test", "live"],
  ] as const)("a %s key makes no %s key", (own, wanted) => {
    const refusal = refusalOf({ ...input, environment: wanted }, key(keyScopes, own))
    expect(refusal.code).toBe("insufficient_key_scope")
    expect(refusal.message).toContain(`make a ${wanted} key`)
  })

  test("while a dashboard user makes keys of either", () => {
    for (const environment of environments) {
      expect(checkApiKeyInput({ ...input, environment }, user, now).environment).toBe(environment)
    }
  })
})
