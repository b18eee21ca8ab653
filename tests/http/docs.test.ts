import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { oauthErrorReasons, remedy } from "../../src/domain/oauth-error.ts"
import { providerNames, providerTitle } from "../../src/domain/provider.ts"
import { httpWorld } from "../support/http-world.ts"

const world = httpWorld()
const list = "/docs/oauth-errors"

/** What holds for each page: plain, nothing loaded, nothing run, its policy allows its one style, and its links stay here. */
async function expectGuide(path: string, status = 200) {
  const page = await world.call("GET", path)
  expect(page.status).toBe(status)
  const html = await page.text()
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8")
  expect(html).toStartWith('<!doctype html>\n<html lang="en">')
  expect(html).not.toMatch(
    /<(script|link|img|iframe|form|base|object)\b|\son\w+=|javascript:|https?:|style=/i,
  )
  expect(html).not.toMatch(/undefined|null|NaN|\[object/)
  const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1] ?? ""
  const hash = createHash("sha256").update(style).digest("base64")
  expect(page.headers.get("content-security-policy")).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  )
  const links = [...html.matchAll(/<a href="([^"]*)">/g)].map(
    ([, href = ""]) => new URL(href, `http://mooring.test${path}`).pathname,
  )
  return { text: textOf(html), links }
}

function textOf(html: string): string {
  return html
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replace(/<[^>]+>/g, "\n")
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
}

test("the list names every reason, says what it means, and leads to its page", async () => {
  const { text, links } = await expectGuide(list)
  expect(links).toEqual(oauthErrorReasons.map((reason) => `${list}/${reason}`))
  const lines = text.split("\n").filter((line) => line !== "")
  for (const reason of oauthErrorReasons) {
    expect(lines).toContain(reason)
    expect(lines[lines.indexOf(reason) + 1]).toMatch(/^[A-Z].{40,}\.$/)
  }
})

test.each([...oauthErrorReasons])("the page about %s has its remedy for each provider", async (reason) => {
  const { text, links } = await expectGuide(`${list}/${reason}`)
  const lines = text.split("\n")
  expect(lines).toContain(reason)
  for (const provider of providerNames)
    expect(lines[lines.indexOf(providerTitle[provider]) + 2]).toBe(remedy(reason, provider))
  expect(links).toEqual([list])
})

test("no two reasons mean the same", async () => {
  const { text } = await expectGuide(list)
  const lines = text.split("\n").filter((line) => line !== "")
  const meanings = oauthErrorReasons.map((reason) => lines[lines.indexOf(reason) + 1])
  expect(new Set(meanings).size).toBe(oauthErrorReasons.length)
})

test("a reason that is none is a page that leads to the list, and repeats nothing of the address", async () => {
  for (const word of ["canary", "ACCESS_DENIED", "%3Cb%3Ecanary", "__proto__", "access_denied%00"]) {
    const { text, links } = await expectGuide(`${list}/${word}`, 404)
    expect(text).not.toContain("canary")
    expect(links).toEqual([list])
  }
})
