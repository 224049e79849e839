-- What each policy was before each of its changes.
SELECT 1;
