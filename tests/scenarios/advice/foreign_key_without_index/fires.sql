CREATE TABLE tenant (id int PRIMARY KEY, region int, UNIQUE (region, id));
CREATE TABLE invoice (id int PRIMARY KEY, tenant_id int REFERENCES tenant, region int, paid boolean,
                      FOREIGN KEY (region, tenant_id) REFERENCES tenant (region, id));
CREATE INDEX invoice_second ON invoice (id, tenant_id);
CREATE INDEX invoice_some ON invoice (tenant_id) WHERE paid;
