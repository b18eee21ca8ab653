-- A connect appends to the index of the newest accounts, in which it was put before all others: SQLite fills pages that
-- are appended to, and halves those that are put before. The index is read backwards just as well, and is a third smaller.

drop index accounts_newest;
create index accounts_newest on accounts (tenant, environment, connected_at, id, provider, health, search);
