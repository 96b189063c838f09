CREATE TABLE tenant (id int PRIMARY KEY, region int, UNIQUE (region, id));
CREATE TABLE invoice (id int PRIMARY KEY, tenant_id int REFERENCES tenant, region int,
                      FOREIGN KEY (region, tenant_id) REFERENCES tenant (region, id));
CREATE INDEX invoice_both ON invoice (tenant_id, region);
CREATE TABLE sparse (id int PRIMARY KEY, tenant_id int REFERENCES tenant);
CREATE INDEX sparse_some ON sparse (tenant_id) WHERE tenant_id IS NOT NULL;
