-- Rows as the first version wrote them, after its own schema (V1__rows.sql).

CREATE TABLE refinery_schema_history(
             version int4 PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255));
INSERT INTO refinery_schema_history VALUES (1, 'rows', '2026-01-02T03:04:05.079533638Z', '11360111247956175115');
INSERT INTO meta VALUES ('install', '019a0000-b0a2-730b-abf7-91f736b6c26a');
INSERT INTO uploads (doc) VALUES ('{"id":"019a0000-b530-7494-a05b-326476bc9897","tenant":"default","job":"019a0000-b530-7494-a05b-326585852a61","processor":"sample","name":"table.csv","created_at":1767323045678,"state":{"is":"complete","size":8,"sha256":"492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470","content_type":"text/csv"}}');
INSERT INTO uploads (doc) VALUES ('{"id":"019a0001-b530-7494-a05b-326476bc9897","tenant":"default","job":"019a0001-b530-7494-a05b-326585852a61","processor":null,"name":"cut.csv","created_at":1767323045678,"state":{"is":"receiving","lease_until":1767323075678,"offset":0,"multipart":null}}');
INSERT INTO jobs (doc) VALUES ('{"id":"019a0000-b530-7494-a05b-326585852a61","tenant":"default","processor":"sample","params":{},"upload":"019a0000-b530-7494-a05b-326476bc9897","input":{"name":"table.csv","content_type":"text/csv","size":8,"sha256":"492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470","key":{"blob":"input","tenant":"default","upload":"019a0000-b530-7494-a05b-326476bc9897"}},"batch":null,"retry_of":null,"created_at":1767323045678,"started_at":null,"finished_at":null,"state":{"is":"queued","since":1767323045678,"not_before":null,"waiting_for":"engine"},"attempt":null,"fence":0,"retries":0,"infrastructure":0,"crashes":0,"progress":null,"events":[{"at":1767323045678,"kind":"created","attempt":null,"fence":0,"detail":null}]}');
