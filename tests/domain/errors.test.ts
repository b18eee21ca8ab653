import { describe, expect, test } from "bun:test"
import { ConnectError, errorCodes, notFound, refuseFaults } from "../../src/domain/errors.ts"

describe("refusing faults", () => {
  const name = { field: "name", detail: "must have 1 to 120 characters" }
  const scopes = { field: "scopes", detail: "must name at least one scope" }

  test("does nothing where there are none", () => {
    expect(() => refuseFaults([])).not.toThrow()
  })

  test("carries every fault, in order, and its message names the first and how many more", () => {
    const refusal = thrownBy(() => refuseFaults([name, scopes, name]))
    expect(refusal.code).toBe("invalid_input")
    expect(refusal.faults).toEqual([name, scopes, name])
    expect(refusal.message).toBe("name: must have 1 to 120 characters (and 2 more, see errors)")
  })

  test("names one fault alone without a count", () => {
    expect(thrownBy(() => refuseFaults([name])).message).toBe("name: must have 1 to 120 characters")
  })
})

test("absent and another tenant's are refused alike", () => {
  expect(notFound("account")).toEqual(notFound("account"))
  expect(notFound("account")).toMatchObject({ code: "not_found", faults: [], retryAfterSeconds: undefined })
  expect(notFound("account").message).toBe(
    "No account with this id. List them to see which ids this credential can reach.",
  )
})

test("a refusal is an error that carries what the edge needs and nothing by default", () => {
  const refusal = new ConnectError("rate_limited", "Too many calls.", { retryAfterSeconds: 3 })
  expect(refusal).toBeInstanceOf(Error)
  expect(refusal).toMatchObject({
    name: "ConnectError",
    code: "rate_limited",
    faults: [],
    retryAfterSeconds: 3,
  })
  expect(new ConnectError("not_ready", "Not ready.").retryAfterSeconds).toBeUndefined()
})

test("no code is listed twice", () => {
  expect(new Set(errorCodes).size).toBe(errorCodes.length)
})

function thrownBy(act: () => void): ConnectError {
  try {
    act()
  } catch (error) {
    if (error instanceof ConnectError) return error
    throw error
  }
  throw new Error("nothing was refused")
}
