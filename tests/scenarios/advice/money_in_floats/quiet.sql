CREATE TABLE invoice (id int PRIMARY KEY, total_cost numeric(12, 2), price_cents bigint, ratio float8, tax_rate float8,
                      cost_seconds float8);
