-- Connect: OAuth apps, flows, accounts, API keys and events.
--
-- record      lives                                    sealed                        hashed
-- oauth_apps  until deleted, when no account uses it   client_secret                 -
-- flows       10 minutes until used; pruned some time  code_verifier                 -
--             after it ended
-- accounts    until removed                            access_token, refresh_token,  -
--                                                      person_token
-- api_keys    for ever; revoked ones are kept, so      -                             digest (SHA-256 of the
--             that their ids stay explained                                          whole key text)
-- events      for ever; never carry a secret           -                             -
-- migrations  for ever                                 -                             -
--
-- Sealed is AES-256-GCM under a key derived for the tenant, bound to tenant, table, row and column.
-- Everything else is in clear: names, handles, references and metadata are personal data.
-- Times are milliseconds since 1970 (UTC), lists and maps are JSON, truth is 0 or 1.
-- Ids begin with the time, so that rows are appended and the order of ids is the order of creation.

create table oauth_apps (
  id                  text    not null primary key,
  tenant              text    not null,
  environment         text    not null,
  provider            text    not null,
  name                text    not null,
  client_id           text    not null,
  client_secret       text    not null,
  scopes              text    not null,
  allowed_return_urls text    not null,
  is_default          integer not null,
  options             text    not null,
  created_at          integer not null,
  updated_at          integer not null
) strict;

create index oauth_apps_oldest on oauth_apps (tenant, environment, provider, created_at, id);
create unique index oauth_apps_default on oauth_apps (tenant, environment, provider) where is_default = 1;

create table flows (
  id                   text    not null primary key,
  tenant               text    not null,
  environment          text    not null,
  provider             text    not null,
  oauth_app_id         text,             -- no reference: a flow remembers an app that is gone
  redirect_uri         text    not null,
  scopes               text    not null,
  options              text    not null,
  return_url           text,
  reference            text,
  reconnect_account_id text,
  code_verifier        text,
  started_by           text    not null,
  status               text    not null, -- pending, exchanging, connected, failed, expired
  failure              text,
  account_ids          text    not null,
  created_at           integer not null,
  expires_at           integer not null,
  taken_at             integer,
  completed_at         integer
) strict;

create index flows_pending on flows (expires_at) where status = 'pending';
create index flows_exchanging on flows (taken_at) where status = 'exchanging';
create index flows_completed on flows (completed_at) where completed_at is not null;

create table accounts (
  id                       text    not null primary key,
  tenant                   text    not null,
  environment              text    not null,
  provider                 text    not null,
  platform_account_id      text    not null,
  handle                   text,
  display_name             text,
  avatar_url               text,
  health                   text    not null,
  health_detail            text,
  connection_type          text    not null,
  oauth_app_id             text references oauth_apps (id), -- an app in use cannot go
  scopes                   text    not null,
  missing_scopes           text    not null,
  reference                text,
  metadata                 text    not null,
  token_expires_at         integer,
  connected_at             integer not null,
  updated_at               integer not null,
  access_token             text    not null,
  refresh_token            text,
  person_token             text,
  token_type               text    not null,
  refresh_token_expires_at integer,
  person_token_expires_at  integer,
  search                   text    not null, -- handle, display name and metadata values, ASCII in lower case
  connections              integer not null default 1, -- how often it was connected; 1 tells a new account
  unique (tenant, environment, provider, platform_account_id)
) strict;

create index accounts_newest on accounts (tenant, environment, connected_at desc, id desc);
create index accounts_of_provider on accounts (tenant, environment, provider, connected_at desc, id desc);
create index accounts_of_reference on accounts (tenant, environment, reference) where reference is not null;
create index accounts_of_app on accounts (oauth_app_id) where oauth_app_id is not null;

create table api_keys (
  id           text    not null primary key,
  tenant       text    not null,
  environment  text    not null,
  name         text    not null,
  scopes       text    not null,
  digest       text    not null,
  created_at   integer not null,
  expires_at   integer,
  last_used_at integer,
  revoked_at   integer
) strict;

create index api_keys_newest on api_keys (tenant, created_at desc, id desc) where revoked_at is null;

create table events (
  id           text    not null primary key,
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
  reference    text,
  reason       text,
  detail       text
) strict;

create index events_of_owner on events (tenant, environment, id);
