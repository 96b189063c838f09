-- Is the index of this name finished? No row where there is none.
SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = to_regclass(quote_ident(:name))
