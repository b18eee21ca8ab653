-- The life of an account: renewing its tokens, noticing their end, choosing among several accounts.
--
-- record    adds                                             lives
-- flows     candidates: granted accounts with their tokens,  until somebody chose, or the flow ended
--           sealed as a whole
-- accounts  nothing secret

alter table flows add column [select] integer not null default 0;
alter table flows add column candidates text; -- only while status is 'choosing'

create index flows_choosing on flows (expires_at) where status = 'choosing';

alter table accounts add column obtained_at integer not null default 0;
alter table accounts add column keep_alive_at integer;    -- when the background renews it
alter table accounts add column person_needed_at integer; -- when the person is needed at the latest
alter table accounts add column fence integer not null default 0; -- grows with every claim and connect
alter table accounts add column lease_until integer;      -- null: nobody has a claim
alter table accounts add column sent_at integer;          -- a rotating token was sent, its fate is not known
alter table accounts add column failures integer not null default 0;
alter table accounts add column retry_at integer;
alter table accounts add column last_failure text;
alter table accounts add column person_id text generated always as (metadata ->> '$.person_id') virtual;

-- What is here already is planned for roughly; its next renewal plans it well.
update accounts set
  obtained_at = updated_at,
  keep_alive_at = case
    when provider in ('x', 'tiktok') and refresh_token is not null
      then coalesce(refresh_token_expires_at, updated_at + 180 * 86400000) - 30 * 86400000
    when provider = 'linkedin' and refresh_token is not null then token_expires_at - 7 * 86400000
    when provider = 'instagram' then token_expires_at - 14 * 86400000
  end,
  person_needed_at = case
    when provider = 'facebook' then person_token_expires_at
    when provider = 'instagram' then null
    when refresh_token is null then token_expires_at
    when provider = 'linkedin' then refresh_token_expires_at
  end;

create index accounts_kept_alive on accounts (provider, keep_alive_at) where keep_alive_at is not null;
create index accounts_at_risk on accounts (provider, sent_at) where sent_at is not null;
create index accounts_needing_person on accounts (health, person_needed_at, provider)
  where person_needed_at is not null;
create index accounts_of_person on accounts (tenant, environment, provider, person_id)
  where person_id is not null;
