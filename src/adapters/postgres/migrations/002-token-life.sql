-- The life of an account's tokens: who refreshes them, when they are due, and choosing among several accounts.
--
-- record      what is new                                                    sealed
-- flows       select_accounts; candidates, forgotten when the flow ends      candidates
-- accounts    the refresh state, the renewal plan and the person             -

alter table flows
  add column select_accounts boolean not null default false,
  add column candidates      text collate "C"; -- while status is 'choosing', which is new between exchanging and connected
alter table flows alter column select_accounts drop default;

create index flows_choosing on flows (expires_at) where status = 'choosing';

alter table accounts
  add column obtained_at      timestamptz(3),
  add column keep_alive_at    timestamptz(3), -- when the background renews the token
  add column person_needed_at timestamptz(3), -- when the person is needed at the latest
  add column fence            integer not null default 0, -- grows with every claim and every connect
  add column lease_until      timestamptz(3),
  add column sent_at          timestamptz(3), -- a rotating refresh token was sent, and its fate is not known since
  add column failures         integer not null default 0,
  add column retry_at         timestamptz(3),
  add column last_failure     text collate "C",
  add column person_id        text collate "C" generated always as (metadata ->> 'person_id') stored;

-- What is here already is planned for roughly; its next renewal plans it well.
update accounts set
  obtained_at = updated_at,
  keep_alive_at = case
    when provider in ('x', 'tiktok') and refresh_token is not null
      then coalesce(refresh_token_expires_at, updated_at + interval '180 days') - interval '30 days'
    when provider = 'linkedin' and refresh_token is not null then token_expires_at - interval '7 days'
    when provider = 'instagram' then token_expires_at - interval '14 days'
  end,
  person_needed_at = case
    when provider = 'facebook' then person_token_expires_at
    when provider = 'instagram' then null
    when refresh_token is null then token_expires_at
    when provider = 'linkedin' then refresh_token_expires_at
  end;
alter table accounts alter column obtained_at set not null;

-- Small ones, of those alone that the background may ask for.
create index accounts_due on accounts (provider, keep_alive_at)
  where keep_alive_at is not null and health <> 'reauthorization_required';
create index accounts_at_risk on accounts (provider, sent_at)
  where sent_at is not null and health <> 'reauthorization_required';
create index accounts_lost on accounts (lease_until)
  where sent_at is not null and health in ('active', 'expiring');
create index accounts_person_soon on accounts (person_needed_at)
  where person_needed_at is not null and health = 'active';
create index accounts_person_needed on accounts (person_needed_at)
  where person_needed_at is not null and health <> 'reauthorization_required' and provider <> 'facebook';
create index accounts_of_person on accounts (tenant, environment, provider, person_id)
  where person_id is not null;
