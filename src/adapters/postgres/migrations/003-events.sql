-- Telling of events: a feed in the order of storing, webhooks and their deliveries.
--
-- record      lives                                            sealed
-- events      until pruned, once no webhook that is on waits   -
-- webhooks    until removed                                    secret, previous_secret
-- deliveries  as long as their event and their webhook         -
-- fan_out     for ever; one row                                -

alter table events
  add column webhook_id text collate "C",
  add column seq        bigint generated always as identity, -- as it was stored, before that was committed
  add column place      bigint;                              -- as it was committed; null: not placed yet

create sequence event_places;
update events set place = next.place
from (select id, nextval('event_places') as place from (select id from events order by id) oldest_first) next
where events.id = next.id;

drop index events_of_owner;
create index events_of_owner on events (tenant, environment, place);
create index events_of_account on events (account_id, place) where account_id is not null;
create unique index events_placed on events (place);
create index events_unplaced on events (seq) where place is null;
create index events_oldest on events (at);
create index events_first_of_webhook on events (webhook_id) where type = 'webhook.created';

create table webhooks (
  id                    text collate "C" primary key,
  tenant                text collate "C" not null,
  environment           text collate "C" not null,
  url                   text collate "C" not null,
  events                jsonb            not null,
  description           text collate "C",
  enabled               boolean          not null,
  disabled_reason       text collate "C",
  secret                text collate "C" not null,
  previous_secret       text collate "C",
  previous_secret_until timestamptz(3),
  failing_since         timestamptz(3),
  hold_until            timestamptz(3),
  failures              integer          not null,
  created_at            timestamptz(3)   not null,
  updated_at            timestamptz(3)   not null
);

create index webhooks_oldest on webhooks (tenant, environment, created_at, id);

create table deliveries (
  webhook_id       text collate "C" not null references webhooks (id) on delete cascade,
  event_id         text collate "C" not null references events (id) on delete cascade,
  place            bigint           not null, -- of the event
  order_key        text collate "C" not null,
  status           text collate "C" not null, -- pending, delivered, failed
  attempts         integer          not null,
  created_at       timestamptz(3)   not null,
  first_attempt_at timestamptz(3),
  due_at           timestamptz(3)   not null,
  lease_until      timestamptz(3),            -- null: no attempt is under way
  completed_at     timestamptz(3),
  last_status      integer,
  last_detail      text collate "C",
  primary key (event_id, webhook_id)
);

create index deliveries_newest on deliveries (webhook_id, place);
create index deliveries_newest_of_status on deliveries (webhook_id, status, place);
create index deliveries_due on deliveries (webhook_id, due_at, place) where status = 'pending';
create index deliveries_in_line on deliveries (webhook_id, order_key, place) where status = 'pending';
create index deliveries_leased on deliveries (webhook_id, lease_until) where lease_until is not null;

-- Up to which place deliveries have been made. Whoever makes them holds the lock of this row.
create table fan_out (place bigint not null);
insert into fan_out select coalesce(max(place), 0) from events;
