-- Looking into connects, and proof: a tenant lists its flows with the calls they made, and a flow may ask that the
-- tenant's backend confirms its accounts.
--
-- record    adds                                              lives
-- flows     calls: what was asked of the provider, without    with the flow
--           anybody's text; callback_mac: a MAC, no secret
--           candidates: now also those to be confirmed        until confirmed, or the flow ended
-- accounts  rows of health 'unconfirmed', with sealed tokens  until confirmed; forgotten soon after nobody may
--           that nobody gets                                  confirm them any more

alter table flows add column proof integer not null default 0;
alter table flows add column calls text not null default '[]';
alter table flows add column callback_mac text;

create index flows_confirming on flows (expires_at) where status = 'confirming';

-- Ids are time-ordered, so that a new flow is appended to its owner's.
create index flows_newest on flows (tenant, environment, id);
create index flows_of_reason on flows (tenant, environment, failure ->> '$.reason', id)
  where failure is not null;

create index accounts_unconfirmed on accounts (updated_at) where health = 'unconfirmed';
