import type { Principal } from "../domain/api-key.ts"
import { ConnectError, invalidField, notFound } from "../domain/errors.ts"
import { type DomainEvent, newEvent } from "../domain/event.ts"
import { isId } from "../domain/id.ts"
import {
  type AddressRule,
  checkWebhookInput,
  type Delivery,
  type DeliveryStatus,
  isDelivered,
  maxWebhooks,
  outcomeDetail,
  secretOverlapMs,
  type Webhook,
  type WebhookInput,
} from "../domain/webhook.ts"
import type { Clock, RandomBytes, SecretBox, Signer } from "../ports/crypto.ts"
import type { Storage, WebhookChange } from "../ports/storage.ts"
import type { WebhookSender } from "../ports/webhooks.ts"
import { signedCursors } from "./cursors.ts"
import { eventFields, eventMessage } from "./event-message.ts"
import type { Ids } from "./ids.ts"
import { newSecret, secretPlace, signingSecrets } from "./webhook-secrets.ts"

export interface WebhooksDeps {
  readonly storage: Pick<Storage, "webhooks" | "deliveries">
  readonly box: SecretBox
  readonly signer: Signer
  readonly sender: WebhookSender
  readonly addresses: AddressRule
  readonly randomBytes: RandomBytes
  readonly newId: Ids
  readonly now: Clock
}

export interface NewWebhook extends WebhookInput {
  readonly url: string
}

export interface WebhookPatch extends WebhookInput {
  readonly enabled?: boolean | undefined
}

/** The secret is in clear here and nowhere else; nothing can bring it back. */
export interface WebhookWithSecret {
  readonly webhook: Webhook
  readonly secret: string
}

export interface TestResult {
  readonly delivered: boolean
  readonly status: number | null
  readonly detail: string
  readonly durationMs: number
}

export interface DeliveryQuery {
  readonly status?: DeliveryStatus | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface DeliveryListing {
  readonly items: readonly { readonly delivery: Delivery; readonly event: DomainEvent }[]
  readonly nextCursor: string | null
}

/** What a tenant does with its own webhooks. Every rejection is a `ConnectError`. */
export interface ManageWebhooks {
  create(principal: Principal, input: NewWebhook): Promise<WebhookWithSecret>
  list(principal: Principal): Promise<readonly Webhook[]>
  get(principal: Principal, id: string): Promise<Webhook>
  /** Switching one on, or giving it another URL, forgets how it has fared before and sends at once what waits. */
  change(principal: Principal, id: string, patch: WebhookPatch): Promise<Webhook>
  remove(principal: Principal, id: string): Promise<void>
  /**
   * The secret before signs as well for `secretOverlapMs`; one still older no longer does. Two at once follow one
   * another; of more the later are refused.
   */
  rotateSecret(principal: Principal, id: string): Promise<WebhookWithSecret>
  /** Sends a message of the type `webhook.test` at once, whether the webhook is on or off; it is no event. */
  test(principal: Principal, id: string): Promise<TestResult>
  /** Newest event first. */
  deliveries(principal: Principal, id: string, query: DeliveryQuery): Promise<DeliveryListing>
  /** Sends the event once more, delivered or not. */
  replayEvent(principal: Principal, id: string, eventId: string): Promise<void>
  /** Sends what has failed of the events since a time once more, the oldest 1000 at most; resolves to how many. */
  replayFailed(principal: Principal, id: string, since: Date): Promise<number>
}

const defaultPageSize = 50
/** In one call, which is one write. */
const mostReplayed = 1000

/** What a webhook without a past begins with. */
const unharmed = { disabledReason: null, failingSince: null, holdUntil: null, failures: 0 } as const

export function manageWebhooks(deps: WebhooksDeps): ManageWebhooks {
  const { webhooks, deliveries } = deps.storage

  const event = (
    principal: Principal,
    type: "created" | "updated" | "deleted",
    webhookId: string,
    at: Date,
    detail: string | null = null,
  ) =>
    newEvent(
      { id: deps.newId("evt"), type: `webhook.${type}`, at, actor: principal.actor, owner: principal },
      { webhookId, detail },
    )

  async function get(principal: Principal, id: string): Promise<Webhook> {
    const webhook = isId("wh", id) ? await webhooks.find(principal, id) : undefined
    if (!webhook) throw notFound("webhook")
    return webhook
  }

  /** Undefined where the secret was rotated by somebody else, or the webhook removed, meanwhile. */
  async function rotate(principal: Principal, id: string): Promise<WebhookWithSecret | undefined> {
    const before = await get(principal, id)
    const now = deps.now()
    const until = new Date(now.getTime() + secretOverlapMs)
    const secret = newSecret(deps.randomBytes)
    const previous = await deps.box.open(before.secret, secretPlace(before))
    const webhook = await webhooks.change(
      principal,
      id,
      {
        secret: await deps.box.seal(secret, secretPlace(before)),
        previousSecret: await deps.box.seal(previous, secretPlace(before, "previous_secret")),
        previousSecretUntil: until,
        updatedAt: now,
      },
      event(
        principal,
        "updated",
        id,
        now,
        `The secret was rotated; the one before signs as well until ${until.toISOString()}.`,
      ),
      { secret: before.secret },
    )
    return webhook && { webhook, secret }
  }

  async function refuseUnreachable(url: string | undefined): Promise<void> {
    if (url === undefined || (await deps.sender.mayReach(url))) return
    throw invalidField(
      "url",
      "has a host whose address is not public; give one that the internet reaches, or let the operator set WEBHOOK_PRIVATE_ADDRESSES=allow",
    )
  }

  return {
    async create(principal, input) {
      const checked = checkWebhookInput(input, deps.addresses)
      await refuseUnreachable(input.url)
      const id = deps.newId("wh")
      const now = deps.now()
      const secret = newSecret(deps.randomBytes)
      const webhook: Webhook = {
        id,
        tenant: principal.tenant,
        environment: principal.environment,
        url: input.url,
        events: checked.events ?? ["*"],
        description: checked.description ?? null,
        enabled: true,
        secret: await deps.box.seal(secret, secretPlace({ tenant: principal.tenant, id })),
        previousSecret: null,
        previousSecretUntil: null,
        ...unharmed,
        createdAt: now,
        updatedAt: now,
      }
      if (!(await webhooks.add(webhook, maxWebhooks, event(principal, "created", id, now)))) {
        throw new ConnectError(
          "invalid_input",
          `There are ${maxWebhooks} webhooks already, which is the most; delete one first.`,
        )
      }
      return { webhook, secret }
    },

    list: (principal) => webhooks.list(principal),

    get,

    async change(principal, id, patch) {
      await get(principal, id)
      const checked = checkWebhookInput(patch, deps.addresses)
      await refuseUnreachable(checked.url)
      const now = deps.now()
      const change: WebhookChange = {
        updatedAt: now,
        ...(checked.url !== undefined && { url: checked.url, ...unharmed }),
        ...(checked.events !== undefined && { events: checked.events }),
        ...(checked.description !== undefined && { description: checked.description }),
        ...(patch.enabled === true && { enabled: true, ...unharmed }),
        ...(patch.enabled === false && { enabled: false }),
      }
      const changed = await webhooks.change(principal, id, change, event(principal, "updated", id, now))
      if (!changed) throw notFound("webhook")
      return changed
    },

    async remove(principal, id) {
      const removed =
        isId("wh", id) && (await webhooks.remove(principal, id, event(principal, "deleted", id, deps.now())))
      if (!removed) throw notFound("webhook")
    },

    async rotateSecret(principal, id) {
      // Once more where somebody else did so meanwhile; a third at once would end a secret just handed out.
      const rotated = (await rotate(principal, id)) ?? (await rotate(principal, id))
      if (!rotated) {
        throw new ConnectError(
          "invalid_input",
          "The secret is being rotated by others at this moment; keep theirs, or call again when they are done.",
        )
      }
      return rotated
    },

    async test(principal, id) {
      const webhook = await get(principal, id)
      const now = deps.now()
      // An event in everything but that it is not kept; its type is the message's.
      const sample = { ...event(principal, "updated", id, now), detail: "This is a test; nothing happened." }
      const outcome = await deps.sender.send({
        url: webhook.url,
        id: sample.id,
        at: now,
        body: eventMessage("webhook.test", now, eventFields(sample)),
        secrets: await signingSecrets(deps.box, webhook, now),
      })
      return {
        delivered: isDelivered(outcome),
        status: outcome.kind === "answered" ? outcome.status : null,
        detail: outcomeDetail(outcome),
        durationMs: deps.now().getTime() - now.getTime(),
      }
    },

    async deliveries(principal, id, query) {
      await get(principal, id)
      const cursors = signedCursors(deps.signer, `deliveries ${id} ${query.status ?? "all"}`)
      const after = query.cursor === undefined ? undefined : cursors.read(principal, query.cursor)
      const page = await deliveries.list(
        principal,
        id,
        query.status === undefined ? {} : { status: query.status },
        { limit: query.limit ?? defaultPageSize, ...(after !== undefined && { after }) },
      )
      return {
        items: page.items,
        nextCursor: page.more && page.position !== null ? cursors.write(principal, page.position) : null,
      }
    },

    async replayEvent(principal, id, eventId) {
      await get(principal, id)
      const found = isId("evt", eventId) ? await deliveries.replay(principal, id, { eventId }, deps.now()) : 0
      if (found === 0) throw notFound("delivery")
    },

    async replayFailed(principal, id, since) {
      await get(principal, id)
      return deliveries.replay(principal, id, { failedSince: since, limit: mostReplayed }, deps.now())
    },
  }
}
