-- The tools of each upstream, as they were last seen.
SELECT 1;
