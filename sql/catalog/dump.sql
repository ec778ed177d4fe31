-- What pg_dump writes of the catalog layer. Jobs that have not ended are left out: nothing of them goes on elsewhere.

SELECT pg_catalog.pg_extension_config_dump('lumina.catalogs', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.catalogs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.catalog_grants', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.sources', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.sources_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.images', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.images_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.image_files', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.image_files_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.sidecars', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.jobs', $$WHERE state NOT IN ('queued', 'running')$$);
SELECT pg_catalog.pg_extension_config_dump('lumina.jobs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.job_cancellations',
    $$WHERE job IN (SELECT id FROM lumina.jobs WHERE state NOT IN ('queued', 'running'))$$);
SELECT pg_catalog.pg_extension_config_dump('lumina.import_items',
    $$WHERE job IN (SELECT id FROM lumina.jobs WHERE state NOT IN ('queued', 'running'))$$);
SELECT pg_catalog.pg_extension_config_dump('lumina.import_items_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_runs', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_runs_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_groups', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_groups_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_members', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.bursts', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.bursts_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.burst_frames', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_actions', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.duplicate_actions_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.action_images', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.action_files', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.distinct_images', '');
SELECT pg_catalog.pg_extension_config_dump('lumina.distinct_files', '');
