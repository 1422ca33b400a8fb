-- The traces of an entry's ballots that are followed; mostly none.
ALTER TABLE log ADD COLUMN traces BLOB;
