-- A million accounts: whatever is asked costs what it answers, not what others have. Only indexes change, and no
-- account that is connected is written to more of them than before. No row is written anew.

-- From when on the background may claim an account (due-accounts.ts says the same), by whom it waits longest, over all
-- apps and within one; of an app also how many use it.
drop index accounts_due;
drop index accounts_at_risk;
drop index accounts_of_app;
create index accounts_due on accounts (provider, (
  case when health not in ('reauthorization_required', 'unconfirmed') and coalesce(keep_alive_at, sent_at) is not null
    then greatest(least(keep_alive_at, sent_at), retry_at, lease_until) end
));
create index accounts_of_app on accounts (oauth_app_id, provider, (
  case when health not in ('reauthorization_required', 'unconfirmed') and coalesce(keep_alive_at, sent_at) is not null
    then greatest(least(keep_alive_at, sent_at), retry_at, lease_until) end
));

-- Lists and totals. The newest are told apart by provider and health within the index; in one of health alone only
-- those are that are not well, so that a connect does not write to it.
drop index accounts_newest;
drop index accounts_of_provider;
drop index accounts_of_reference;
create index accounts_newest on accounts (tenant, environment, connected_at desc, id desc, provider, health);
create index accounts_of_health on accounts (tenant, environment, health, connected_at desc, id desc)
  where health <> 'active';
create index accounts_of_reference on accounts (tenant, environment, reference, connected_at desc, id desc)
  where reference is not null;
