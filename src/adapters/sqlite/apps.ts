import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Owner } from "../../domain/owner.ts"
import type { ProviderName } from "../../domain/provider.ts"
import type { OAuthApps } from "../../ports/storage.ts"
import { eventRecorder } from "./events.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { appTable, type Row } from "./tables.ts"

const { columns, parameters, toRow, fromRow } = appTable

/** How an app is found by its id; outside a write it is remembered until apps change. */
export function appFinder({
  db,
  reads,
}: Pick<Sqlite, "db" | "reads">): (owner: Owner, id: string) => OAuthApp | undefined {
  const find = db.query<Row, [Row]>(`select ${columns} from oauth_apps where ${owned} and id = $id`)
  return (owner, id) =>
    reads.remember(appName(owner, id), () => {
      const row = find.get(oursWithId(owner, id))
      return row ? fromRow(row) : undefined
    })
}

/** The same for a provider's default app. */
export function defaultAppFinder({
  db,
  reads,
}: Pick<Sqlite, "db" | "reads">): (owner: Owner, provider: ProviderName) => OAuthApp | undefined {
  const find = db.query<Row, [Row]>(
    `select ${columns} from oauth_apps where ${owned} and provider = $provider and is_default = 1`,
  )
  return (owner, provider) =>
    reads.remember(`default ${appName(owner, provider)}`, () => {
      const row = find.get({ ...ours(owner), provider })
      return row ? fromRow(row) : undefined
    })
}

export function sqliteApps({ db, write, reads }: Sqlite): OAuthApps {
  const record = eventRecorder({ db })
  const [find, findDefault] = [appFinder({ db, reads }), defaultAppFinder({ db, reads })]
  const sql = {
    insert: db.query<never, [Row]>(`insert into oauth_apps (${columns}) values (${parameters})`),
    list: db.query<Row, [Row]>(
      `select ${columns} from oauth_apps
       where ${owned} and ($provider is null or provider = $provider) order by created_at, id`,
    ),
    change: db.query<never, [Row]>(
      `update oauth_apps set name = $name, client_secret = $client_secret, scopes = $scopes, options = $options,
         allowed_return_urls = $allowed_return_urls, is_default = $is_default, updated_at = $updated_at
       where id = $id`,
    ),
    stepDown: db.query<never, [Row]>(
      `update oauth_apps set is_default = 0 where ${owned} and provider = $provider and is_default = 1`,
    ),
    promoteOldest: db.query<never, [Row]>(
      `update oauth_apps set is_default = 1 where id =
         (select id from oauth_apps where ${owned} and provider = $provider order by created_at, id limit 1)`,
    ),
    countAccounts: db.query<{ accounts: number }, [Row]>(
      "select count(*) as accounts from accounts where oauth_app_id = $id",
    ),
    remove: db.query<never, [Row]>("delete from oauth_apps where id = $id"),
  }

  return {
    add: (app, event) =>
      write(() => {
        reads.forget()
        const isFirst = findDefault(app, app.provider) === undefined
        if (app.isDefault) sql.stepDown.run(ofProvider(app))
        const row = toRow({ ...app, isDefault: app.isDefault || isFirst })
        sql.insert.run(row)
        record(event)
        return fromRow(row)
      }),

    async find(owner, id) {
      return find(owner, id)
    },

    async findDefault(owner, provider) {
      return findDefault(owner, provider)
    },

    async list(owner, provider) {
      return sql.list.all({ ...ours(owner), provider: provider ?? null }).map(fromRow)
    },

    change: (owner, id, change, event) =>
      write(() => {
        const app = find(owner, id)
        if (!app) return undefined
        reads.forget()
        if (change.isDefault) sql.stepDown.run(ofProvider(app))
        const row = toRow({ ...app, ...change })
        sql.change.run(row)
        record(event)
        return fromRow(row)
      }),

    remove: (owner, id, event) =>
      write(() => {
        const app = find(owner, id)
        if (!app) return { kind: "absent" }
        const { accounts } = sql.countAccounts.get({ id }) ?? { accounts: 0 }
        if (accounts > 0) return { kind: "in_use", accounts }
        reads.forget()
        sql.remove.run({ id })
        if (app.isDefault) sql.promoteOldest.run(ofProvider(app))
        record(event)
        return { kind: "removed" }
      }),
  }
}

/** Nothing that is stored has a NUL: so no id, whatever it is made of, spells the name of another owner's app. */
function appName({ tenant, environment }: Owner, which: string): string {
  return `${environment}\0${which}\0${tenant}`
}

function ofProvider(app: OAuthApp): Row {
  return { ...ours(app), provider: app.provider }
}
