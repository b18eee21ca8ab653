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
-- Texts compare byte by byte (collation "C"), so that order and equality are the same on every server.
-- Ids begin with the time, so that rows are appended and the order of ids is the order of creation.

create table oauth_apps (
  id                  text collate "C" primary key,
  tenant              text collate "C" not null,
  environment         text collate "C" not null,
  provider            text collate "C" not null,
  name                text collate "C" not null,
  client_id           text collate "C" not null,
  client_secret       text collate "C" not null,
  scopes              jsonb            not null,
  allowed_return_urls jsonb            not null,
  is_default          boolean          not null,
  options             jsonb            not null,
  created_at          timestamptz(3)   not null,
  updated_at          timestamptz(3)   not null
);

create index oauth_apps_oldest on oauth_apps (tenant, environment, provider, created_at, id);
create unique index oauth_apps_default on oauth_apps (tenant, environment, provider) where is_default;

create table flows (
  id                   text collate "C" primary key,
  tenant               text collate "C" not null,
  environment          text collate "C" not null,
  provider             text collate "C" not null,
  oauth_app_id         text collate "C",          -- no reference: a flow remembers an app that is gone
  redirect_uri         text collate "C" not null,
  scopes               jsonb            not null,
  options              jsonb            not null,
  return_url           text collate "C",
  reference            text collate "C",
  reconnect_account_id text collate "C",
  code_verifier        text collate "C",
  started_by           text collate "C" not null,
  status               text collate "C" not null, -- pending, exchanging, connected, failed, expired
  failure              jsonb,
  account_ids          jsonb            not null,
  created_at           timestamptz(3)   not null,
  expires_at           timestamptz(3)   not null,
  taken_at             timestamptz(3),
  completed_at         timestamptz(3)
);

create index flows_pending on flows (expires_at) where status = 'pending';
create index flows_exchanging on flows (taken_at) where status = 'exchanging';
create index flows_completed on flows (completed_at) where completed_at is not null;

create table accounts (
  id                       text collate "C" primary key,
  tenant                   text collate "C" not null,
  environment              text collate "C" not null,
  provider                 text collate "C" not null,
  platform_account_id      text collate "C" not null,
  handle                   text collate "C",
  display_name             text collate "C",
  avatar_url               text collate "C",
  health                   text collate "C" not null,
  health_detail            text collate "C",
  connection_type          text collate "C" not null,
  oauth_app_id             text collate "C" references oauth_apps (id), -- an app in use cannot go
  scopes                   jsonb            not null,
  missing_scopes           jsonb            not null,
  reference                text collate "C",
  metadata                 jsonb            not null,
  token_expires_at         timestamptz(3),
  connected_at             timestamptz(3)   not null,
  updated_at               timestamptz(3)   not null,
  access_token             text collate "C" not null,
  refresh_token            text collate "C",
  person_token             text collate "C",
  token_type               text collate "C" not null,
  refresh_token_expires_at timestamptz(3),
  person_token_expires_at  timestamptz(3),
  search                   text collate "C" not null, -- handle, display name, metadata values, ASCII in lower case
  connections              integer not null default 1, -- how often it was connected; 1 tells a new account
  unique (tenant, environment, provider, platform_account_id)
);

create index accounts_newest on accounts (tenant, environment, connected_at desc, id desc);
create index accounts_of_provider on accounts (tenant, environment, provider, connected_at desc, id desc);
create index accounts_of_reference on accounts (tenant, environment, reference) where reference is not null;
create index accounts_of_app on accounts (oauth_app_id) where oauth_app_id is not null;

create table api_keys (
  id           text collate "C" primary key,
  tenant       text collate "C" not null,
  environment  text collate "C" not null,
  name         text collate "C" not null,
  scopes       jsonb            not null,
  digest       text collate "C" not null,
  created_at   timestamptz(3)   not null,
  expires_at   timestamptz(3),
  last_used_at timestamptz(3),
  revoked_at   timestamptz(3)
);

create index api_keys_newest on api_keys (tenant, created_at desc, id desc) where revoked_at is null;

create table events (
  id           text collate "C" primary key,
  tenant       text collate "C" not null,
  environment  text collate "C" not null,
  type         text collate "C" not null,
  at           timestamptz(3)   not null,
  actor        text collate "C" not null,
  provider     text collate "C",
  account_id   text collate "C",
  flow_id      text collate "C",
  oauth_app_id text collate "C",
  api_key_id   text collate "C",
  reference    text collate "C",
  reason       text collate "C",
  detail       text collate "C"
);

create index events_of_owner on events (tenant, environment, id);
