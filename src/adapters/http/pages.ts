import type { Choice } from "../../application/choose-accounts.ts"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { OAuthErrorReason, PageOnlyReason } from "../../domain/oauth-error.ts"
import { providerTitle } from "../../domain/provider.ts"

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8; --good: #16794c; --bad: #b3261e; --wait: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e9edf2; --soft: #a3afbd; --paper: #12161c; --card: #1b212a; --line: #303946; --good: #5fd39b; --bad: #ff8a80; --wait: #f2c066 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif }
main { width: 100%; max-width: 29rem; padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: .9rem }
.mark { display: inline-grid; place-items: center; width: 3rem; height: 3rem; border-radius: 50%; border: 2px solid; font-size: 1.4rem; line-height: 1 }
.good .mark { color: var(--good) } .bad .mark { color: var(--bad) } .wait .mark { color: var(--wait) }
h1 { margin: 1rem 0 .4rem; font-size: 1.4rem; line-height: 1.25 }
p { margin: .4rem 0 }
.foot { margin-top: 1.4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
form { margin-top: 1.2rem }
label { display: flex; gap: .8rem; align-items: center; min-height: 2.8rem; border-bottom: 1px solid var(--line) }
input { flex: none; width: 1.2rem; height: 1.2rem; margin: 0; accent-color: var(--good) }
label span { min-width: 0; max-height: 6rem; overflow: hidden; overflow-wrap: anywhere }
small { color: var(--soft) }
button { width: 100%; min-height: 2.9rem; margin-top: .8rem; border: 1px solid var(--line); border-radius: .5rem; background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer }
.go { border-color: var(--good); color: var(--good) }
button:focus-visible, input:focus-visible { outline: 3px solid var(--good); outline-offset: 2px }
.guide { max-width: 44rem } .guide h1 { margin-top: 0 } .guide h1, .guide dt { overflow-wrap: anywhere }
dl { margin: 1.2rem 0 0 } dt { margin-top: .9rem; font-weight: 600 } dd { margin: .1rem 0 0 }
a { color: inherit; text-underline-offset: .15em }
.sandbox { margin: 0 0 1.2rem; padding: .35rem .7rem; border: 1px dashed var(--wait); border-radius: .5rem; color: var(--wait); font-size: .85rem }
`

function contentSecurityPolicy(formAction: string): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${Bun.CryptoHasher.hash("sha256", style, "base64")}'`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
    `form-action ${formAction}`,
  ].join("; ")
}

interface Page {
  readonly status: number
  readonly tone: "good" | "bad" | "wait"
  readonly title: string
  readonly says: readonly string[]
  /** Name and value for whoever helps the person. */
  readonly foot?: readonly (readonly [string, string])[]
  readonly sandbox?: boolean
  /** Markup of a form, already safe. Its page may be left by a redirect to the tenant's. */
  readonly form?: string
  readonly headers?: Readonly<Record<string, string>>
}

const marks = { good: "✓", bad: "!", wait: "…" } as const

function page({ status, tone, title, says, foot = [], sandbox = false, form, headers = {} }: Page): Response {
  const facts = foot
    .map(([name, value]) => `${escapeHtml(name)} <code>${escapeHtml(value)}</code>`)
    .join("<br>")
  const content = `${sandbox ? '<p class="sandbox">Sandbox: nothing real was connected.</p>\n' : ""}<span class="mark" aria-hidden="true">${marks[tone]}</span>
<h1>${escapeHtml(title)}</h1>
${says.map((sentence) => `<p>${escapeHtml(sentence)}</p>`).join("\n")}
${form ?? ""}
${facts ? `<p class="foot">${facts}</p>` : ""}`
  return new Response(documentOf(tone, title, content), {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      // Chromium applies form-action to the redirects after a form as well, and these lead to the tenant's page.
      "content-security-policy": contentSecurityPolicy(form === undefined ? "'none'" : "https: http:"),
      ...headers,
    },
  })
}

/** `content` is markup, already safe. */
function documentOf(kind: Page["tone"] | "guide", title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex"><title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><main class="${kind}">
${content}
</main></body></html>
`
}

/** A page for developers to read. */
export interface Guide {
  readonly status: number
  readonly title: string
  readonly says: readonly string[]
  /** Terms and what is said of each; a term with an address leads there. */
  readonly terms: readonly { readonly term: string; readonly href?: string; readonly says: string }[]
  readonly back?: { readonly href: string; readonly text: string }
}

export function guidePage({ status, title, says, terms, back }: Guide): Response {
  const link = (href: string, text: string) => `<a href="${escapeHtml(href)}">${escapeHtml(text)}</a>`
  const lines = terms.map(({ term, href, says }) => {
    const name = href === undefined ? escapeHtml(term) : link(href, term)
    return `<dt>${name}</dt><dd>${escapeHtml(says)}</dd>`
  })
  const content = [
    `<h1>${escapeHtml(title)}</h1>`,
    ...says.map((sentence) => `<p>${escapeHtml(sentence)}</p>`),
    ...(lines.length > 0 ? [`<dl>\n${lines.join("\n")}\n</dl>`] : []),
    ...(back ? [`<p class="foot">${link(back.href, back.text)}</p>`] : []),
  ]
  return new Response(documentOf("guide", title, content.join("\n")), {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": contentSecurityPolicy("'none'"),
    },
  })
}

/** A callback without a trusted state: there is no address to send anybody to, and none of the input is shown. */
export function refusalPage(reason: PageOnlyReason, requestId: string): Response {
  return page({
    status: 400,
    tone: "bad",
    title: "This link cannot be used",
    says: [
      reason === "state_invalid"
        ? "It is incomplete, was made for something else, or is more than ten minutes old. It changed nothing."
        : "The answer that came with it is incomplete. It changed nothing.",
      "Go back to the app you came from and connect again.",
    ],
    foot: [
      ["Reason", reason],
      ["Request", requestId],
    ],
  })
}

/** A fault of our own before the flow was taken or ended: the same address works once we are well again. */
export function faultPage(requestId: string): Response {
  return page({
    status: 500,
    tone: "bad",
    title: "Something failed on our side",
    says: ["Nothing was lost. Load this page again in a moment."],
    foot: [["Request", requestId]],
  })
}

/**
 * Where a connect ends that has no page of the tenant's to return to, and where whoever cannot show that they are
 * the one who consented learns nothing more.
 */
export function landingPage(flow: ConnectFlow): Response {
  const title = providerTitle[flow.provider]
  const sandbox = flow.environment === "test"
  const foot: Page["foot"] = [["Reference for support", flow.id]]
  if (flow.status === "connected") {
    const accounts =
      flow.accountIds.length > 1
        ? `${flow.accountIds.length} ${title} accounts are`
        : `Your ${title} account is`
    return page({
      status: 200,
      tone: "good",
      title: `${accounts} connected`,
      says: ["You can close this window."],
      foot,
      sandbox,
    })
  }
  if (flow.status === "choosing" || flow.status === "confirming") {
    return page({
      status: 200,
      tone: "wait",
      title: "Finish in the browser you began in",
      says: [
        `Your ${title} account is not connected yet. The rest happens in the browser in which you agreed at ${title}.`,
        "If that window is gone, go back to the app you came from and connect again.",
      ],
      foot,
      sandbox,
    })
  }
  const reason = flow.failure?.reason ?? "server_error"
  return page({
    status: 200,
    tone: "bad",
    title: `${title} was not connected`,
    says: [
      forThePerson(reason, title),
      "You can close this window, or go back to the app you came from and try again.",
    ],
    foot: [["Reason", reason], ...foot],
    sandbox,
  })
}

/** The person consented, and there is no address any more to which the code may be brought. */
export function strandedPage(flow: ConnectFlow): Response {
  const title = providerTitle[flow.provider]
  return page({
    status: 200,
    tone: "bad",
    title: `${title} was not connected`,
    says: [
      "The app you came from no longer allows the address that it wanted you sent back to.",
      "Tell whoever runs the site, then connect again.",
    ],
    foot: [["Reference for support", flow.id]],
    sandbox: flow.environment === "test",
  })
}

/** Another callback of the same flow is still at work; the page asks again by itself. */
export function waitingPage(): Response {
  return page({
    status: 200,
    tone: "wait",
    title: "Still connecting",
    says: ["The other side is slow to answer. This page tries again by itself in a moment."],
    headers: { refresh: "3" },
  })
}

/** Where a person chooses which of several accounts to connect. All are ticked; what is not chosen is never stored. */
export function choosingPage(flow: ConnectFlow, choices: readonly Choice[]): Response {
  const title = providerTitle[flow.provider]
  const lines = choices.map(({ platformAccountId, displayName, handle }) => {
    const name = escapeHtml(displayName ?? handle ?? platformAccountId)
    const more = handle && displayName ? ` <small>@<bdi>${escapeHtml(handle)}</bdi></small>` : ""
    return `<label><input type="checkbox" name="account" value="${escapeHtml(platformAccountId)}" checked><span><bdi>${name}</bdi>${more}</span></label>`
  })
  return page({
    status: 200,
    tone: "wait",
    title: `Which ${title} accounts?`,
    says: ["Only those you tick are connected; nothing is kept of the others."],
    form: `<form method="post">\n${lines.join("\n")}\n<button class="go">Connect</button>\n<button name="none" value="1">None of these</button>\n</form>`,
    sandbox: flow.environment === "test",
  })
}

/** One sentence without our trade's words: what happened, and what this person can do about it. */
function forThePerson(reason: OAuthErrorReason, title: string): string {
  switch (reason) {
    case "access_denied":
      return "You declined, so nothing was connected."
    case "insufficient_scope":
      return "A permission that is needed was not granted. Connect again and leave every permission ticked."
    case "account_not_eligible":
      return `${title} does not let this account be connected. Another account may work.`
    case "no_publishable_account":
      return "There was no Page on which you may create content. Choose a Page that you manage."
    case "account_mismatch":
      return "You signed in with another account than the one to reconnect. Switch accounts and try again."
    case "code_invalid":
    case "no_response":
      return "It took too long, or the link was used before."
    case "server_error":
      return "Something failed on our side. Try again in a moment."
    case "rate_limited":
    case "provider_unavailable":
    case "provider_timeout":
    case "invalid_response":
      return `${title} is not answering as it should. Try again in a few minutes.`
    default:
      return "The app's connection settings need its makers' attention. Show them the reference below."
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
