import { exactText } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ApiKeys } from "../../ports/storage.ts"
import { appFinder, defaultAppFinder } from "./apps.ts"
import { eventRecorder } from "./events.ts"
import { heldFinder } from "./held-account.ts"
import { oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { keyTable, type Row } from "./tables.ts"

const { columns, parameters, toRow, fromRow } = keyTable

/** A read costs no round trip here, so what a call needs first is simply read after its key. */
export function sqliteKeys({ db, write, reads }: Sqlite): ApiKeys {
  const record = eventRecorder({ db })
  const finders = { db, reads }
  const [findApp, findDefaultApp] = [appFinder(finders), defaultAppFinder(finders)]
  const findAccount = heldFinder(finders)
  const sql = {
    insert: db.query<never, [Row]>(`insert into api_keys (${columns}) values (${parameters})`),
    findById: db.query<Row, [Row]>(`select ${columns} from api_keys where id = $id`),
    list: db.query<Row, [Row]>(
      `select ${columns} from api_keys where tenant = $tenant and revoked_at is null
         and ($environment is null or environment = $environment) order by created_at desc, id desc`,
    ),
    revoke: db.query<never, [Row]>(
      `update api_keys set revoked_at = $at
       where ${owned} and id = $id and revoked_at is null`,
    ),
    touch: db.query<never, [Row]>(
      "update api_keys set last_used_at = $at where id = $id and (last_used_at is null or last_used_at < $at)",
    ),
  }

  function findById(id: string): ApiKey | undefined {
    return reads.remember(keyName(id), () => {
      const row = sql.findById.get({ id: exactText(id) })
      return row ? fromRow(row) : undefined
    })
  }

  return {
    add: (key, event) =>
      write(() => {
        sql.insert.run(toRow(key))
        record(event)
      }),

    async findById(id) {
      return findById(id)
    },

    async findWith(id, need) {
      const key = findById(id)
      if (!key) return undefined
      if (need.kind === "account") return { key, app: null, account: findAccount(key, need.id) ?? null }
      const app = need.id === null ? findDefaultApp(key, need.provider) : findApp(key, need.id)
      return { key, app: app ?? null, account: null }
    },

    async list(tenant, environment) {
      return sql.list.all({ tenant: exactText(tenant), environment: environment ?? null }).map(fromRow)
    },

    revoke: (owner, id, event) =>
      write(() => {
        const { changes } = sql.revoke.run({ ...oursWithId(owner, id), at: event.at.getTime() })
        if (changes === 0) return false
        reads.forget(keyName(id))
        record(event)
        return true
      }),

    touch: (id, at) =>
      write(() => {
        reads.forget(keyName(id))
        sql.touch.run({ id: exactText(id), at: at.getTime() })
      }),
  }
}

function keyName(id: string): string {
  return `key ${id}`
}
