import { Elysia, t } from "elysia"
import type { ManageWebhooks, WebhookWithSecret } from "../../application/webhooks.ts"
import { ConnectError } from "../../domain/errors.ts"
import type { DomainEvent } from "../../domain/event.ts"
import { type Delivery, deliveryStatuses, type Webhook } from "../../domain/webhook.ts"
import { callerWith } from "./context.ts"
import { eventView } from "./event-routes.ts"
import { closed, oneOf, pageLimit, readTime, text, timeText } from "./schemas.ts"

const settable = {
  url: text("must be an address"),
  events: t.Array(text("must be an event type"), { detail: "must be a list of event types" }),
  description: t.Union([t.String(), t.Null()], { detail: "must be text or null" }),
}

const newWebhook = t.Object(
  {
    url: settable.url,
    events: t.Optional(settable.events),
    description: t.Optional(settable.description),
  },
  closed,
)

const webhookPatch = t.Partial(
  t.Object({ ...settable, enabled: t.Boolean({ detail: "must be true or false" }) }),
  {
    ...closed,
    minProperties: 1,
    detail: `must set at least one of ${Object.keys(settable).join(", ")}, enabled`,
  },
)

const deliveryQuery = t.Object(
  {
    status: t.Optional(oneOf(deliveryStatuses)),
    limit: t.Optional(pageLimit),
    cursor: t.Optional(text()),
  },
  closed,
)

const failedSince = t.Object({ failed_since: timeText }, closed)

/** How many tests of one tenant's webhooks may wait for their receivers at once. */
const maxTests = 4

export function webhookRoutes(webhooks: ManageWebhooks) {
  const testing = new Map<string, number>()
  /** Rejects with `rate_limited` above {@link maxTests} of this process. */
  async function inTurn<Result>(tenant: string, work: () => Promise<Result>): Promise<Result> {
    const others = testing.get(tenant) ?? 0
    if (others >= maxTests)
      throw new ConnectError("rate_limited", `${maxTests} tests are under way; wait for one to end.`, {
        retryAfterSeconds: 5,
      })
    testing.set(tenant, others + 1)
    try {
      return await work()
    } finally {
      const left = (testing.get(tenant) ?? 1) - 1
      if (left === 0) testing.delete(tenant)
      else testing.set(tenant, left)
    }
  }

  return new Elysia({ prefix: "/v1/webhooks" })
    .derive(({ request }) => ({ caller: callerWith(request, "webhooks") }))
    .post(
      "",
      async ({ caller, body, set }) => {
        const created = await webhooks.create(caller, body)
        set.status = 201
        return secretView(created)
      },
      { body: newWebhook },
    )
    .get("", async ({ caller }) => (await webhooks.list(caller)).map(webhookView))
    .get("/:id", async ({ caller, params }) => webhookView(await webhooks.get(caller, params.id)))
    .patch(
      "/:id",
      async ({ caller, params, body }) => webhookView(await webhooks.change(caller, params.id, body)),
      { body: webhookPatch },
    )
    .delete("/:id", async ({ caller, params, set }) => {
      await webhooks.remove(caller, params.id)
      set.status = 204
    })
    .post("/:id/rotate-secret", async ({ caller, params }) =>
      secretView(await webhooks.rotateSecret(caller, params.id)),
    )
    .post("/:id/test", async ({ caller, params }) => {
      const { durationMs, ...result } = await inTurn(caller.tenant, () => webhooks.test(caller, params.id))
      return { ...result, duration_ms: durationMs }
    })
    .get(
      "/:id/deliveries",
      async ({ caller, params, query }) => {
        const { items, nextCursor } = await webhooks.deliveries(caller, params.id, {
          status: query.status,
          limit: query.limit === undefined ? undefined : Number(query.limit),
          cursor: query.cursor,
        })
        return { items: items.map(deliveryView), next_cursor: nextCursor }
      },
      { query: deliveryQuery },
    )
    .post("/:id/deliveries/:event_id/replay", async ({ caller, params, set }) => {
      await webhooks.replayEvent(caller, params.id, params.event_id)
      set.status = 202
      return { replayed: 1 }
    })
    .post(
      "/:id/replay",
      async ({ caller, params, body, set }) => {
        const since = readTime("failed_since", body.failed_since)
        const replayed = await webhooks.replayFailed(caller, params.id, since)
        set.status = 202
        return { replayed }
      },
      { body: failedSince },
    )
}

/** For {@link managementApp}: what is posted without a body. */
export const bodilessWebhookRoutes: readonly string[] = [
  "/v1/webhooks/:id/rotate-secret",
  "/v1/webhooks/:id/test",
  "/v1/webhooks/:id/deliveries/:event_id/replay",
]

function webhookView(webhook: Webhook) {
  return {
    id: webhook.id,
    url: webhook.url,
    events: webhook.events,
    description: webhook.description,
    enabled: webhook.enabled,
    disabled_reason: webhook.disabledReason,
    failing_since: webhook.failingSince?.toISOString() ?? null,
    previous_secret_until: webhook.previousSecretUntil?.toISOString() ?? null,
    created_at: webhook.createdAt.toISOString(),
    updated_at: webhook.updatedAt.toISOString(),
  }
}

/** The one time that the secret is shown. */
function secretView({ webhook, secret }: WebhookWithSecret) {
  return { ...webhookView(webhook), secret }
}

function deliveryView({ delivery, event }: { readonly delivery: Delivery; readonly event: DomainEvent }) {
  return {
    event_id: delivery.eventId,
    status: delivery.status,
    attempts: delivery.attempts,
    last_status: delivery.lastStatus,
    last_detail: delivery.lastDetail,
    created_at: delivery.createdAt.toISOString(),
    first_attempt_at: delivery.firstAttemptAt?.toISOString() ?? null,
    next_attempt_at: delivery.status === "pending" ? delivery.dueAt.toISOString() : null,
    completed_at: delivery.completedAt?.toISOString() ?? null,
    event: eventView(event),
  }
}
