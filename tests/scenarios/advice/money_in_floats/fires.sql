CREATE TABLE invoice (id int PRIMARY KEY, total_cost float8, unit_price real, paid money);
