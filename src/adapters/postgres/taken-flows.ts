import type { Sql } from "postgres"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { ConsumedFlow } from "../../ports/storage.ts"
import { askedWith, firstOfEach, runBatch, textArray } from "./batch-statements.ts"
import { type Batched, batched } from "./batched.ts"
import { appAmong } from "./connection.ts"
import { appTable, flowTable } from "./tables.ts"

interface Taking {
  readonly id: string
  readonly now: Date
  readonly callbackMac: string | null
}

/** Takes flows for exchange, those of one moment by one statement. */
export function takenFlows(sql: Sql): Batched<Taking, ConsumedFlow> {
  return batched((asked) => takeAll(sql, asked))
}

/** A flow that is asked for twice in one moment is taken by the first; the others see what that one did. */
async function takeAll(sql: Sql, asked: readonly Taking[]): Promise<readonly (ConsumedFlow | undefined)[]> {
  const first = firstOfEach(asked, ({ id }) => id)
  const inOrder = [...first.keys()].toSorted().flatMap((id) => first.get(id) ?? [])
  const rows = await runBatch<{ taken: boolean; answer: readonly unknown[] }>(sql, takeFlows, [
    textArray(inOrder.map(({ id }) => id)),
    textArray(inOrder.map(({ now }) => now.toISOString())),
    textArray(inOrder.map(({ callbackMac }) => callbackMac)),
  ])
  const found = new Map(rows.map((row) => [row.answer[0], row]))
  return asked.map((taking) => {
    const row = found.get(taking.id)
    const taker = first.get(taking.id)
    if (!row || !taker) return undefined
    const app = appAmong(row.answer, flowTable.columns.length)
    const flow = flowTable.fromValues(row.answer, 0)
    if (!row.taken) return { taken: false, flow, app }
    return { taken: taking === taker, flow: takenBy(flow, taker), app }
  })
}

function takenBy(flow: ConnectFlow, { now, callbackMac }: Taking): ConnectFlow {
  return { ...flow, status: "exchanging", takenAt: new Date(now), callbackMac }
}

/** The lock makes all but one wait, and shows them what that one did. In the order of ids, so that nobody waits in a circle. */
const takeFlows = `
  with flow as materialized (
    select flows.*, place, taking_at, mac
    from ${askedWith("flow_id", "taking_at", "mac")},
      lateral (select ${flowTable.columns} from flows where id = flow_id for update) flows
  ), taken as (
    update flows set status = 'exchanging', taken_at = taking_at::timestamptz, callback_mac = mac
    from flow where flows.id = flow.id and flow.status = 'pending' and flow.expires_at > taking_at::timestamptz
    returning flows.id
  )
  select exists (select from taken where taken.id = flow.id) as taken,
    json_build_array(${[...flowTable.answered("flow"), ...appTable.answered("app")]}) as answer
  from flow
  left join lateral (
    select ${appTable.columns} from oauth_apps where id = flow.oauth_app_id limit 1
  ) app on app.tenant = flow.tenant and app.environment = flow.environment`
