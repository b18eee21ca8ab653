import { Buffer } from "node:buffer"
import { isProviderName, type ProviderName } from "../../domain/provider.ts"
import type { Clock, RandomBytes, Signer } from "../../ports/crypto.ts"
import {
  type ProviderAnswer,
  type Transport,
  TransportFault,
  type TransportLimits,
} from "../../ports/transport.ts"
import { type Given, readChoice } from "./choice.ts"
import { consentPageUrl } from "./consent-page-url.ts"
import { type ConsentRequest, readConsentRequest } from "./consent-request.ts"
import { facebook } from "./facebook.ts"
import { ticketOffice } from "./grant.ts"
import { instagram } from "./instagram.ts"
import { linkedin } from "./linkedin.ts"
import { boundedMemory } from "./memory.ts"
import { dawdle, suffer } from "./mishaps.ts"
import { outcomeOf } from "./outcome.ts"
import { consentPage, endPage, faultPage, pageHeaders, pageResponse } from "./page.ts"
import { tiktok } from "./tiktok.ts"
import { type Desk, type Reply, readRequest, type Simulation } from "./wire.ts"
import { x } from "./x.ts"

/** All five providers, pretended. Nothing leaves the process, and no real account or key is involved. */
export interface Sandbox {
  /** Answers what is addressed to the real providers' hosts; every other host is unreachable. */
  readonly transport: Transport
  /** See `consentPageUrl`. */
  authorizeUrl(provider: ProviderName, url: URL): URL
  /** Serves `/sandbox/…`; undefined for every other path. Redirects to this server's own callbacks and nowhere else. */
  handle(request: Request): Promise<Response | undefined>
}

export interface SandboxDeps {
  /** The base of every redirect_uri. */
  readonly publicUrl: string
  readonly signer: Signer
  readonly now: Clock
  readonly randomBytes: RandomBytes
}

const simulations: Readonly<Record<ProviderName, Simulation>> = { instagram, facebook, x, linkedin, tiktok }

export function sandbox(deps: SandboxDeps): Sandbox {
  const base = deps.publicUrl.replace(/\/+$/, "")
  const desk: Desk = { now: deps.now, tickets: ticketOffice(deps), memory: boundedMemory() }
  return {
    transport: pretendedTransport(desk),
    authorizeUrl: (provider, url) => consentPageUrl(base, provider, url),
    async handle(request) {
      const url = new URL(request.url)
      if (!url.pathname.startsWith("/sandbox/")) return undefined
      const provider = /^\/sandbox\/([a-z]+)\/authorize$/.exec(url.pathname)?.[1] ?? ""
      if (!isProviderName(provider)) return notFound()
      if (request.method !== "GET" && request.method !== "POST") return methodNotAllowed(provider)
      const given = await readGiven(request, url.searchParams)
      if (given instanceof Response) return given
      return consent(simulations[provider], given, `${base}/v1/oauth/${provider}/callback`, desk)
    },
  }
}

function pretendedTransport(desk: Desk): Transport {
  const byHost = new Map(
    Object.values(simulations).flatMap((simulation) =>
      simulation.hosts.map((host) => [host, simulation] as const),
    ),
  )
  return async (request, limits) => {
    const wire = readRequest(request)
    const simulation = wire && byHost.get(wire.host)
    if (!simulation) throw new TransportFault("unreachable")
    const reply = simulation.answer(wire, desk)
    return bounded(await deliver(reply, limits), limits)
  }
}

async function deliver(reply: Reply, limits: TransportLimits): Promise<ProviderAnswer> {
  if ("mishap" in reply) return suffer(reply.mishap, limits)
  return "late" in reply ? dawdle(reply.late, reply.delayMs, limits) : reply
}

function bounded(answer: ProviderAnswer, { maxBytes }: TransportLimits): ProviderAnswer {
  if (Buffer.byteLength(answer.body) > maxBytes) throw new TransportFault("too_large")
  return answer
}

/** Shows the page, or does what was chosen. */
function consent(simulation: Simulation, given: Given, callback: string, desk: Desk): Response {
  const { provider } = simulation
  const request = readConsentRequest(simulation, given.query, callback)
  if ("fault" in request) return refused(provider, request.fault)
  const choice = readChoice(request, given)
  if (choice === undefined) return showConsent(request, given.query)
  if ("fault" in choice) return refused(provider, choice.fault)
  const outcome = outcomeOf(request, choice, desk)
  return "stays" in outcome
    ? pageResponse(200, endPage(provider, choice.scenario))
    : new Response(null, { status: 302, headers: { ...pageHeaders, location: outcome.redirect } })
}

function showConsent(request: ConsentRequest, query: URLSearchParams): Response {
  const unticked = query.getAll("untick")
  return pageResponse(200, consentPage(request, { unticked, pages: query.get("pages")?.split(",") ?? null }))
}

function refused(provider: ProviderName, fault: string): Response {
  return pageResponse(400, faultPage(provider, "Something went wrong", fault))
}

const maxFormBytes = 16 * 1024

/** The query, and the form where one is posted; or the page that refuses the form. */
async function readGiven(request: Request, query: URLSearchParams): Promise<Given | Response> {
  if (request.method === "GET") return { query }
  const type = request.headers.get("content-type") ?? ""
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    return pageResponse(415, faultPage(undefined, "Not a form", "Post the form of the consent page."))
  }
  const text = await readAtMost(request, maxFormBytes)
  return text === undefined
    ? pageResponse(413, faultPage(undefined, "Too large", "Post the form of the consent page."))
    : { query, form: new URLSearchParams(text) }
}

/** Undefined as soon as the body turns out longer. */
async function readAtMost(request: Request, maxBytes: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

function notFound(): Response {
  return pageResponse(
    404,
    faultPage(
      undefined,
      "No such page",
      "The sandbox has /sandbox/{provider}/authorize for x, linkedin, tiktok, facebook and instagram.",
    ),
  )
}

function methodNotAllowed(provider: ProviderName): Response {
  return pageResponse(405, faultPage(provider, "Method not allowed", "Use GET, or POST the page's form."), {
    allow: "GET, POST",
  })
}
