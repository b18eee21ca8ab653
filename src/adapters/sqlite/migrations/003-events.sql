-- Telling of events: a feed in the order of storing, webhooks and their deliveries.
--
-- record      lives                                            sealed
-- events      until pruned, once no webhook that is on waits   -
-- webhooks    until removed                                    secret, previous_secret
-- deliveries  as long as their event and their webhook         -
-- fan_out     for ever; one row                                -

-- Rebuilt, since a place must never be given twice, not even after the newest event was pruned.
create table placed_events (
  place        integer primary key autoincrement, -- in the order of storing
  id           text    not null unique,
  tenant       text    not null,
  environment  text    not null,
  type         text    not null,
  at           integer not null,
  actor        text    not null,
  provider     text,
  account_id   text,
  flow_id      text,
  oauth_app_id text,
  api_key_id   text,
  webhook_id   text,
  reference    text,
  reason       text,
  detail       text
) strict;

insert into placed_events (
  id, tenant, environment, type, at, actor, provider, account_id, flow_id, oauth_app_id, api_key_id,
  reference, reason, detail
)
select id, tenant, environment, type, at, actor, provider, account_id, flow_id, oauth_app_id, api_key_id,
  reference, reason, detail
from events order by id;

drop table events;
alter table placed_events rename to events;

create index events_of_owner on events (tenant, environment, place);
create index events_of_account on events (account_id, place) where account_id is not null;
create index events_oldest on events (at);
create index events_first_of_webhook on events (webhook_id) where type = 'webhook.created';

create table webhooks (
  id                    text    not null primary key,
  tenant                text    not null,
  environment           text    not null,
  url                   text    not null,
  events                text    not null,
  description           text,
  enabled               integer not null,
  disabled_reason       text,
  secret                text    not null,
  previous_secret       text,
  previous_secret_until integer,
  failing_since         integer,
  hold_until            integer,
  failures              integer not null,
  created_at            integer not null,
  updated_at            integer not null
) strict;

create index webhooks_oldest on webhooks (tenant, environment, created_at, id);

create table deliveries (
  webhook_id       text    not null references webhooks (id) on delete cascade,
  event_id         text    not null references events (id) on delete cascade,
  place            integer not null, -- of the event
  order_key        text    not null,
  status           text    not null, -- pending, delivered, failed
  attempts         integer not null,
  created_at       integer not null,
  first_attempt_at integer,
  due_at           integer not null,
  lease_until      integer,          -- null: no attempt is under way
  completed_at     integer,
  last_status      integer,
  last_detail      text,
  primary key (event_id, webhook_id)
) strict;

create index deliveries_newest on deliveries (webhook_id, place);
create index deliveries_newest_of_status on deliveries (webhook_id, status, place);
create index deliveries_due on deliveries (webhook_id, due_at, place) where status = 'pending';
create index deliveries_in_line on deliveries (webhook_id, order_key, place) where status = 'pending';
create index deliveries_leased on deliveries (webhook_id, lease_until) where lease_until is not null;

-- Up to which place deliveries have been made.
create table fan_out (place integer not null) strict;
insert into fan_out select coalesce(max(place), 0) from events;
