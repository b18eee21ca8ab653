import { createHash } from "node:crypto"
import { type ProviderName, providerTitle } from "../../domain/provider.ts"
import type { ConsentRequest } from "./consent-request.ts"
import { type Person, people, personNames } from "./people.ts"
import { type Scenario, scenariosOf } from "./scenarios.ts"

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #566271; --paper: #f6f7f9; --card: #fff; --line: #d5dae1; --go: #1f5fbf; --on-go: #fff; --wait: #8a5a00; --tint: #fff6e3 }
@media (prefers-color-scheme: dark) { :root { --ink: #e9edf2; --soft: #a3afbd; --paper: #12161c; --card: #1b212a; --line: #364150; --go: #8ab8ff; --on-go: #0d1a2d; --wait: #f2c066; --tint: #2b2415 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .9rem }
.band { margin: 0 0 1.2rem; padding: .6rem .9rem; background: var(--tint); border: 1px dashed var(--wait); border-radius: .5rem; color: var(--wait) }
h1 { margin: 0 0 .4rem; font-size: 1.4rem; line-height: 1.3 }
h2, legend, summary { font-size: 1rem; font-weight: 600 }
h2 { margin: 1.4rem 0 .5rem } h3 { margin: 1rem 0 .4rem; font-size: .9rem; color: var(--soft) }
p { margin: .4rem 0 }
.soft, small { color: var(--soft) } small { display: block; font-size: .85rem; font-weight: 400 }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere }
fieldset { margin: 1.2rem 0 0; padding: .6rem .9rem; border: 1px solid var(--line); border-radius: .5rem }
ul { margin: 0; padding: 0; list-style: none }
label, .scope { display: flex; gap: .7rem; align-items: center; min-height: 2.4rem }
input { width: 1.15rem; height: 1.15rem; margin: 0; accent-color: var(--go); flex: none }
button { width: 100%; min-height: 2.9rem; padding: .5rem .9rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); color: var(--ink); font: inherit; font-weight: 600; text-align: left; overflow-wrap: anywhere; cursor: pointer }
button:hover { border-color: var(--go) }
button:focus-visible, summary:focus-visible, input:focus-visible { outline: 3px solid var(--go); outline-offset: 2px }
li + li { margin-top: .5rem }
.people button { display: flex; gap: .8rem; align-items: center }
.people li:first-child button { background: var(--go); border-color: var(--go); color: var(--on-go) } .people li:first-child small { color: inherit }
.face { display: grid; place-items: center; flex: none; width: 2.1rem; height: 2.1rem; border: 2px solid; border-radius: 50% }
.decline { margin-top: 1rem; text-align: center }
details { margin-top: 1.5rem; padding-top: .4rem; border-top: 1px solid var(--line) }
summary { padding: .7rem 0; cursor: pointer }
`

/** With its quotes, as a CSP source. */
const styleSource = `'sha256-${createHash("sha256").update(style).digest("base64")}'`

/**
 * Chromium applies form-action to every redirect that follows a form post, and here one leads through the
 * callback to the tenant's own page, whose address the consent page cannot know. So it names schemes alone
 * (`http:` for tenants on loopback, the IPv6 one too, which no source expression can spell); that still
 * keeps forms from `javascript:` and from other applications on the device.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src ${styleSource}`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action http: https:",
].join("; ")

/** Of every answer of the sandbox's pages, redirects included: a callback address holds a code. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": contentSecurityPolicy,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex",
}

export function pageResponse(
  status: number,
  html: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(html, {
    status,
    headers: { ...pageHeaders, "content-type": "text/html; charset=utf-8", ...headers },
  })
}

/** What a test's query has ticked already. */
export interface Shown {
  readonly unticked: readonly string[]
  /** Null for every Page. */
  readonly pages: readonly string[] | null
}

/** The consent page: one form whose buttons are the choices. No scripts, nothing from elsewhere. */
export function consentPage(request: ConsentRequest, shown: Shown): string {
  const { provider } = request.simulation
  return document(
    provider,
    `<h1>Let <code>${escapeHtml(request.clientId)}</code> use your ${providerTitle[provider]} account?</h1>
<p class="soft">Afterwards you return to <code>${escapeHtml(new URL(request.redirectUri).host)}</code>.</p>
<form method="post">
${request.partial ? scopeTicks(request, shown.unticked) : scopeList(request)}
${provider === "facebook" ? pageTicks(shown.pages) : ""}
<h2>Continue as</h2>
<ul class="people">
${personNames.map((name) => personButton(provider, people[name])).join("\n")}
</ul>
<button class="decline" name="scenario" value="decline">Decline</button>
${failures(request)}
</form>`,
  )
}

function scopeTicks({ scopes }: ConsentRequest, unticked: readonly string[]): string {
  const ticks = scopes.map((scope) => {
    const checked = unticked.includes(scope) ? "" : " checked"
    return `<label><input type="checkbox" name="granted" value="${escapeHtml(scope)}"${checked}><code>${escapeHtml(scope)}</code></label>`
  })
  return `<fieldset><legend>The app asks for</legend>
<input type="hidden" name="ticks" value="shown">
${ticks.join("\n") || "<p>nothing but who you are</p>"}
</fieldset>`
}

function scopeList({ scopes }: ConsentRequest): string {
  const lines = scopes.map((scope) => `<li class="scope"><code>${escapeHtml(scope)}</code></li>`)
  return `<fieldset><legend>The app asks for, all or nothing</legend>
<ul>${lines.join("\n")}</ul>
</fieldset>`
}

/** Only for those who have several; whoever has one grants it. The ticks hold for whoever continues. */
function pageTicks(chosen: readonly string[] | null): string {
  const owners = Object.values(people).filter(({ pages }) => pages.length > 1)
  const ticks = owners.map(({ displayName, pages }) => {
    const lines = pages.map(({ id, name }) => {
      const checked = chosen === null || chosen.includes(id) ? " checked" : ""
      return `<label><input type="checkbox" name="page" value="${id}"${checked}><span>${escapeHtml(name)}</span></label>`
    })
    return `<fieldset><legend>Pages, if you continue as ${escapeHtml(displayName)}</legend>
${lines.join("\n")}
</fieldset>`
  })
  return `<input type="hidden" name="page_ticks" value="shown">\n${ticks.join("\n")}`
}

function personButton(provider: ProviderName, person: Person): string {
  const { name, displayName } = person
  const notes = [...(provider === "facebook" ? [countPages(person)] : []), person.note].filter(Boolean)
  const small = notes.length > 0 ? `<small>${escapeHtml(notes.join(", "))}</small>` : ""
  return `<li><button name="person" value="${name}"><span class="face" aria-hidden="true">${escapeHtml(displayName.charAt(0))}</span><span>${escapeHtml(displayName)}${small}</span></button></li>`
}

function countPages({ pages }: Person): string {
  return pages.length === 1 ? "one Page" : `${pages.length || "no"} Pages`
}

function failures({ simulation, scopes, partial }: ConsentRequest): string {
  const others = scenariosOf(simulation.provider)
    .filter(({ name }) => name !== "approve" && name !== "decline")
    .filter(({ unticks }) => !unticks || (partial && scopes.includes(unticks)))
  const failing = others.filter(({ ends }) => ends !== "connected")
  const later = others.filter((scenario) => scenario.later !== undefined)
  const peculiar = others.filter((scenario) => scenario.ends === "connected" && !later.includes(scenario))
  return `<details><summary>Make it fail</summary>
<p class="soft">Or add <code>&amp;scenario=NAME</code> to the address of this page, and it answers at once.</p>
<h3>Fails</h3>
<ul>${failing.map(scenarioButton).join("\n")}</ul>
<h3>Connects, but not as usual</h3>
<ul>${peculiar.map(scenarioButton).join("\n")}</ul>
<h3>Connects, and fails later</h3>
<ul>${later.map(scenarioButton).join("\n")}</ul>
</details>`
}

function scenarioButton({ name, does, later, ends }: Scenario): string {
  return `<li><button name="scenario" value="${escapeHtml(name)}">${escapeHtml(name)}<small>${escapeHtml(later ?? does)} <code>→ ${ends}</code></small></button></li>`
}

/** The provider's own page for a request it will not serve. Nobody is redirected from here. */
export function faultPage(provider: ProviderName | undefined, title: string, fault: string): string {
  return document(provider, `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(fault)}</p>`)
}

/** Where a flow ends that never returns. */
export function endPage(provider: ProviderName, scenario: Scenario): string {
  return document(
    provider,
    `<h1>This page does not return</h1>
<p>${escapeHtml(scenario.does)}</p>
<p class="soft">Ten minutes after its start the flow ends as <code>no_response</code>.</p>`,
  )
}

function document(provider: ProviderName | undefined, body: string): string {
  const title = provider ? `Sandbox — not the real ${providerTitle[provider]}` : "Sandbox"
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${style}</style></head>
<body><main>
<p class="band"><strong>${title}.</strong> No account is touched.</p>
${body}
</main></body></html>
`
}

/** Makes any text plain inside an element and inside a quoted attribute. */
function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;")
}
