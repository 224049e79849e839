-- Single sign-on of an organization.
SELECT 1;
