import { describe, expect, test } from "bun:test"
import {
  accessTokenIn,
  ask,
  authorizeAddress,
  type Body,
  clientId,
  clientSecret,
  codeOf,
  connected,
  get,
  longLivedCall,
  type OpenSandbox,
  openSandbox,
  press,
  profileCall,
  revokeCall,
  tokenCall,
} from "./harness.ts"

const graph = "https://graph.facebook.com/v25.0"
const [books, coffee, events] = ["102030405060711", "102030405060712", "102030405060713"] as const
const bakery = "102030405060701"
const cleo = { person: "cleo" }

interface Row {
  readonly id: string
  readonly access_token: string
}

async function pagesOf(box: OpenSandbox, token: string, path = "/me/accounts"): Promise<readonly Row[]> {
  const found: Row[] = []
  let url: string | undefined = `${graph}${path}?fields=id,access_token&access_token=${token}`
  for (let guard = 0; url && guard < 9; guard++) {
    const body: Body = (await ask(box, { url })).body
    found.push(...(body.data as readonly Row[]))
    url = (body.paging as { readonly next?: string } | undefined)?.next
  }
  return found
}

async function idsOf(box: OpenSandbox, token: string): Promise<readonly string[]> {
  return (await pagesOf(box, token)).map(({ id }) => id)
}

/** 200, or Graph's error code and subcode. */
async function reads(box: OpenSandbox, token: string): Promise<unknown> {
  const { status, body } = await ask(box, profileCall("facebook", token))
  const error = body.error as { readonly code: number; readonly error_subcode: number } | undefined
  return error ? [error.code, error.error_subcode] : status
}

async function isValid(box: OpenSandbox, token: string): Promise<unknown> {
  const url = `${graph}/debug_token?input_token=${token}&access_token=${clientId}|${clientSecret}`
  return ((await ask(box, { url })).body.data as Body).is_valid
}

async function tokenFrom(box: OpenSandbox, response: Response): Promise<string> {
  const code = new URL(response.headers.get("location") ?? "").searchParams.get("code") ?? ""
  const short = accessTokenIn((await ask(box, tokenCall("facebook", code))).body)
  return accessTokenIn((await ask(box, longLivedCall("facebook", short) ?? { url: "" })).body)
}

describe("pages= grants some of the person's Pages", () => {
  test("and the others are neither listed nor read", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { ...cleo, pages: `${events},${books}` })
    expect(await idsOf(box, token)).toEqual([books, events])
    const read = async (id: string) => (await ask(box, { url: `${graph}/${id}`, bearer: token })).body
    expect((await read(books)).name).toBe("Marsh Books")
    expect((await read(coffee)).error).toMatchObject({ code: 100, error_subcode: 33 })
  })

  test("of a portfolio too", async () => {
    const box = openSandbox()
    const granted = { scenario: "business_pages", pages: `${coffee},${events}` }
    const token = await connected(box, "facebook", granted)
    const [business] = await pagesOf(box, token, "/me/businesses")
    const listed = async (path: string) =>
      (await pagesOf(box, token, `/${business?.id}${path}`)).map(({ id }) => id)
    expect([await listed("/owned_pages"), await listed("/client_pages")]).toEqual([[events], [coffee]])
  })

  test("or none", async () => {
    const box = openSandbox()
    expect(await idsOf(box, await connected(box, "facebook", { pages: "" }))).toEqual([])
  })

  test("and all where it is not given", async () => {
    const box = openSandbox()
    expect(await idsOf(box, await connected(box, "facebook", cleo))).toHaveLength(5)
  })

  test("but not another person's, and not at other providers", async () => {
    const box = openSandbox()
    const says = async (provider: "facebook" | "x", changes: Record<string, string>) => {
      const response = await get(box, authorizeAddress(provider, changes))
      return [response.status, await response.text()]
    }
    const approve = { scenario: "approve", pages: books }
    expect(await says("facebook", approve)).toEqual([400, expect.stringContaining("which ann does not have")])
    expect(await says("facebook", { ...approve, ...cleo, pages: `${books},made-up` })).toEqual([
      400,
      expect.stringContaining("pages names made-up"),
    ])
    expect(await says("x", approve)).toEqual([400, expect.stringContaining("pages does nothing")])
    expect(await says("facebook", { pages: "made-up" })).toEqual([
      400,
      expect.stringContaining("which nobody here has"),
    ])
  })
})

describe("the consent page's ticks for Pages", () => {
  test("are for who has several, all ticked unless the query says otherwise", async () => {
    const box = openSandbox()
    const boxes = async (changes: Record<string, string>) => {
      const page = await (await get(box, authorizeAddress("facebook", changes))).text()
      expect(page.match(/name="page_ticks" value="shown"/g)).toHaveLength(1)
      return [...page.matchAll(/name="page" value="(\d+)"( checked)?>/g)].map(([, id, ticked]) => [
        id,
        ticked !== undefined,
      ])
    }
    const all = await boxes({})
    expect(all).toHaveLength(5)
    expect(all.every(([, ticked]) => ticked)).toBe(true)
    expect((await boxes({ pages: `${books},${events}` })).map(([, ticked]) => ticked)).toEqual([
      true,
      false,
      true,
      false,
      false,
    ])
    const elsewhere = await (await get(box, authorizeAddress("instagram"))).text()
    expect(elsewhere).not.toContain("page_ticks")
  })

  test("grant what is ticked, also under a Login for Business configuration", async () => {
    const box = openSandbox()
    const granted = async (
      form: readonly (readonly [string, string])[],
      url = authorizeAddress("facebook"),
    ) =>
      idsOf(
        box,
        await tokenFrom(
          box,
          await press(
            box,
            url,
            new URLSearchParams([["page_ticks", "shown"], ...form.map((row) => [...row])]),
          ),
        ),
      )
    const some = [
      ["page", coffee],
      ["page", "made-up"],
      ["page", books],
    ] as const
    expect(await granted([["person", "cleo"], ...some])).toEqual([books, coffee])
    expect(await granted([["person", "cleo"]])).toEqual([])
    expect(await granted([["scenario", "several_pages"], ...some])).toEqual([books, coffee])
    const configured = authorizeAddress("facebook", { scope: undefined, config_id: "1234567890" })
    expect(await granted([["person", "cleo"], ...some], configured)).toEqual([books, coffee])
  })

  test("do not touch who has one Page, whatever the query ticked beforehand", async () => {
    const box = openSandbox()
    const form = new URLSearchParams({ page_ticks: "shown", person: "ann" })
    const response = await press(box, authorizeAddress("facebook", { pages: books }), form)
    expect(await idsOf(box, await tokenFrom(box, response))).toEqual([bakery])
  })
})

test("a consent is nothing until its code is redeemed, since anybody may post to the page", async () => {
  const box = openSandbox()
  const [, second] = await pagesOf(box, await connected(box, "facebook", cleo))
  await codeOf(box, "facebook", { ...cleo, pages: books })
  expect(await reads(box, second?.access_token ?? "")).toBe(200)
})

describe("a later consent with fewer Pages", () => {
  test("ends the tokens of those it leaves out, from the moment it is given, and no others", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", cleo)
    const [first, second] = await pagesOf(box, token)
    await connected(box, "facebook", { ...cleo, pages: books })
    expect(await reads(box, first?.access_token ?? "")).toBe(200)
    expect(await reads(box, second?.access_token ?? "")).toEqual([190, 492])
    expect(await isValid(box, first?.access_token ?? "")).toBe(true)
    expect(await isValid(box, second?.access_token ?? "")).toBe(false)
    expect(await reads(box, token)).toBe(200)
    expect(await idsOf(box, token)).toEqual([books])
  })

  test("leaves other people and other apps alone", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "facebook", { ...cleo, client_id: "another-client" })
    const elsewhere = await ask(box, tokenCall("facebook", code, { client_id: "another-client" }))
    const ann = await connected(box, "facebook")
    await codeOf(box, "facebook", { ...cleo, pages: "" })
    expect(await idsOf(box, accessTokenIn(elsewhere.body))).toHaveLength(5)
    expect(await idsOf(box, ann)).toEqual([bakery])
  })

  test("is undone by a still later one", async () => {
    const box = openSandbox()
    const [, second] = await pagesOf(box, await connected(box, "facebook", cleo))
    await connected(box, "facebook", { ...cleo, pages: books })
    expect(await reads(box, second?.access_token ?? "")).toEqual([190, 492])
    await connected(box, "facebook", cleo)
    expect(await reads(box, second?.access_token ?? "")).toBe(200)
  })

  test("is nothing to a declined one, and an older one seen later changes nothing", async () => {
    const [one, other] = [openSandbox("one"), openSandbox("other")]
    const early = await connected(one, "facebook", cleo)
    one.pass(60)
    other.pass(60)
    const late = await connected(one, "facebook", { ...cleo, pages: books })
    await get(one, authorizeAddress("facebook", { ...cleo, scenario: "decline", pages: coffee }))
    expect(await idsOf(one, early)).toEqual([books])
    // The other instance learns of the later consent when it is shown a token of it.
    expect(await idsOf(other, early)).toHaveLength(5)
    expect(await idsOf(other, late)).toEqual([books])
    expect(await idsOf(other, early)).toEqual([books])
  })
})

describe("taking the app away", () => {
  test("ends every token of the person and the app, of earlier consents too", async () => {
    const box = openSandbox()
    const earlier = await connected(box, "facebook", cleo)
    const [page] = await pagesOf(box, earlier)
    const token = await connected(box, "facebook", cleo)
    const pages = await pagesOf(box, token)
    expect(await ask(box, revokeCall("facebook", token))).toEqual({ status: 200, body: { success: true } })
    const texts = [earlier, token, page?.access_token ?? "", ...pages.map((row) => row.access_token)]
    for (const dead of texts) {
      expect(await reads(box, dead)).toEqual([190, 458])
      expect(await isValid(box, dead)).toBe(false)
    }
  })

  test("leaves other people, other apps and a consent given afterwards alone", async () => {
    const box = openSandbox()
    const ann = await connected(box, "facebook")
    const code = await codeOf(box, "facebook", { ...cleo, client_id: "another-client" })
    const elsewhere = await ask(box, tokenCall("facebook", code, { client_id: "another-client" }))
    const taken = await connected(box, "facebook", cleo)
    await ask(box, revokeCall("facebook", taken))
    const again = await connected(box, "facebook", cleo)
    for (const token of [ann, accessTokenIn(elsewhere.body), again]) expect(await reads(box, token)).toBe(200)
    expect(await reads(box, taken)).toEqual([190, 458])
    expect(await idsOf(box, again)).toHaveLength(5)
  })

  test("is not for a Page's token", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const [page] = await pagesOf(box, token)
    const { body } = await ask(box, revokeCall("facebook", page?.access_token))
    expect(body.error).toMatchObject({ code: 190 })
    expect(await reads(box, token)).toBe(200)
  })
})
