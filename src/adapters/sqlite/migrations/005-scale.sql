-- A million accounts: whatever is asked costs what it answers, not what others have. Only indexes and a computed column change, and no
-- account that is connected is written to more of them than before.
--
-- record    adds
-- accounts  due_at, computed: from when on the background may claim it; null: never

alter table accounts add column due_at integer generated always as (
  case when health not in ('reauthorization_required', 'unconfirmed') then max(
    min(coalesce(keep_alive_at, sent_at), coalesce(sent_at, keep_alive_at)),
    coalesce(retry_at, 0), coalesce(lease_until, 0))
  end
) virtual;

-- What may be claimed, by whom it waits longest, over all apps and within one; of an app also how many use it.
drop index accounts_kept_alive;
drop index accounts_at_risk;
drop index accounts_of_app;
create index accounts_due on accounts (provider, due_at) where due_at is not null;
create index accounts_of_app on accounts (oauth_app_id, provider, due_at);
create index accounts_lost on accounts (lease_until) where sent_at is not null and health in ('active', 'expiring');

-- Without Facebook's that have been told: those may be many for good, and nothing more comes of them.
drop index accounts_needing_person;
create index accounts_needing_person on accounts (health, person_needed_at)
  where person_needed_at is not null and (provider <> 'facebook' or health = 'active');

-- Lists, totals and searches. The newest are told apart, and searched, within the index, since the accounts of a tenant
-- lie scattered among all others; in one of health alone only those are that are not well, so that a connect does not
-- write to it.
drop index accounts_newest;
drop index accounts_of_provider;
drop index accounts_of_reference;
create index accounts_newest
  on accounts (tenant, environment, connected_at desc, id desc, provider, health, search);
create index accounts_of_health on accounts (tenant, environment, health, connected_at desc, id desc)
  where health <> 'active';
create index accounts_of_reference on accounts (tenant, environment, reference, connected_at desc, id desc)
  where reference is not null;
